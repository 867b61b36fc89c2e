"""A chunked body: h11 undoes the chunking, then the lines between the data are checked."""

from __future__ import annotations

import re

import h11

from . import replies
from .heads import Refused, refuse

# RFC 9112, 7.1, without h11's blanks and with no bare CR in an extension.
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t -~\x80-\xff]*)?\r\n")
_LAST_CHUNK = re.compile(
    rb"0{1,16}(?:;[\t -~\x80-\xff]*)?\r\n(?:[!-9;-~]+:[\t -~\x80-\xff]*\r\n)*\r\n"
)
# Chunking may not multiply what a body costs us: one byte a chunk takes six on the wire.
_OVERHEAD = 8


class ChunkedBody:
    """h11 undoes the chunking; then the lines between the data are held against the grammar.

    Args:
        reader: has read the head.
        max_body_bytes: longest accepted body.
        max_trailer_bytes: on top of what the chunks of the longest body take.
    """

    def __init__(
        self, reader: h11.Connection, *, max_body_bytes: int, max_trailer_bytes: int
    ) -> None:
        self._reader = reader
        self._max_body_bytes = max_body_bytes
        self._max_raw_bytes = _OVERHEAD * max_body_bytes + max_trailer_bytes
        self._raw = bytearray()
        self._body = bytearray()

    def feed(self, data: bytes) -> tuple[bytes | None, bytes]:
        """Return the body once it is complete (None before), and the bytes behind it."""
        # Nothing beyond the limit is looked at, so that the verdict is the same in any splits.
        room = self._max_raw_bytes - len(self._raw)
        if legible := data[:room]:
            self._raw += legible
            self._reader.receive_data(legible)
        while True:
            try:
                event = self._reader.next_event()
            except h11.RemoteProtocolError as error:
                refuse(error)
            if isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > self._max_body_bytes:
                    raise Refused(replies.PAYLOAD_TOO_LARGE)
            elif isinstance(event, h11.EndOfMessage):
                unused, _ = self._reader.trailing_data
                self._check_lines(bytes(self._raw[: len(self._raw) - len(unused)]))
                return bytes(self._body), unused + data[room:]
            else:
                if len(data) > room:
                    raise Refused(replies.PAYLOAD_TOO_LARGE)
                return None, b""

    def _check_lines(self, raw: bytes) -> None:
        at = 0
        while (line := _CHUNK_LINE.match(raw, at)) and (size := int(line[1], 16)):
            at = line.end() + size + len(b"\r\n")
        if not _LAST_CHUNK.fullmatch(raw, at):
            raise Refused(replies.INVALID_HTTP)
