"""A chunked body, by the grammar of RFC 9112, section 7.1, and by nothing else.

h11 could undo the chunking, but it lets blanks and bare CRs into the lines, takes trailers of any
length in one go (eight megabytes of them froze the loop for seven seconds), and spends on a chunk
of one byte what a small request costs. So this grammar is ours; the tests hold it against h11's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import replies
from .heads import Refused

if TYPE_CHECKING:
    from collections.abc import Generator

# What an extension says means nothing to us (7.1.1), and neither does a trailer (7.1.2).
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t -~\x80-\xff]*)?\r\n")
_TRAILER_LINE = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*)?\r\n")
_END_OF_LINE = b"\r\n"
# Chunking may not multiply what a body costs us: one byte a chunk takes six on the wire.
_OVERHEAD = 8


class ChunkedBody:
    """Takes the chunks in whatever pieces they come; keeps the body and an unfinished line.

    Args:
        max_body_bytes: longest accepted body.
        max_trailer_bytes: on top of what the chunks of the longest body take; and the longest line,
            so that nobody has megabytes kept for an extension (RFC 9112, 7.1.1).
    """

    def __init__(self, *, max_body_bytes: int, max_trailer_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        self._max_line_bytes = max_trailer_bytes
        self._room = _OVERHEAD * max_body_bytes + max_trailer_bytes
        self._buffer = bytearray()
        self._body = bytearray()
        self._reading = self._read()

    def feed(self, data: bytes) -> tuple[bytes | None, bytes]:
        """Return the body once it is complete (None before), and the bytes behind it.

        Raises:
            Refused: it breaks the grammar, or is too large.
        """
        # Nothing beyond the limit is looked at, so that the verdict is the same in any splits.
        legible = data[: self._room]
        self._room -= len(legible)
        self._buffer += legible
        for _ in self._reading:
            if len(data) > len(legible):
                raise Refused(replies.PAYLOAD_TOO_LARGE)
            return None, b""
        return bytes(self._body), bytes(self._buffer) + data[len(legible) :]

    def _read(self) -> Generator[None, None, None]:
        """Take the body out of the buffer; yield whenever that is too short."""
        while missing := int((yield from self._line(_SIZE_LINE))[1], 16):
            if len(self._body) + missing > self._max_body_bytes:
                raise Refused(replies.PAYLOAD_TOO_LARGE)
            while missing > len(self._buffer):
                missing -= len(self._buffer)
                self._body += self._buffer
                self._buffer.clear()
                yield
            self._body += self._buffer[:missing]
            del self._buffer[:missing]
            while not self._buffer.startswith(_END_OF_LINE):
                if not _END_OF_LINE.startswith(bytes(self._buffer[:2])):
                    raise Refused(replies.INVALID_HTTP)
                yield
            del self._buffer[:2]
        while (yield from self._line(_TRAILER_LINE))[0] != _END_OF_LINE:
            pass

    def _line(self, grammar: re.Pattern[bytes]) -> Generator[None, None, re.Match[bytes]]:
        searched = 0
        while not (end := self._buffer.find(b"\n", searched) + 1):
            searched = len(self._buffer)
            if searched > self._max_line_bytes:
                raise Refused(replies.PAYLOAD_TOO_LARGE)
            yield
        if end > self._max_line_bytes:
            raise Refused(replies.PAYLOAD_TOO_LARGE)
        line = grammar.fullmatch(bytes(self._buffer[:end]))
        if line is None:
            raise Refused(replies.INVALID_HTTP)
        del self._buffer[:end]
        return line
