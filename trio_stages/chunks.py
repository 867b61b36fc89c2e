"""A chunked body: h11 undoes the chunking, then the lines between the data are checked."""

from __future__ import annotations

import re

import h11

from . import replies
from .heads import Refused, refuse

# RFC 9112, 7.1, without h11's blanks and with no bare CR in an extension.
_CHUNK_LINE = re.compile(rb"[0-9A-Fa-f]{1,16}(?:;[\t -~\x80-\xff]*)?\r\n")
_LAST_CHUNK = re.compile(
    rb"0{1,16}(?:;[\t -~\x80-\xff]*)?\r\n(?:[!-9;-~]+:[\t -~\x80-\xff]*\r\n)*\r\n"
)
# Chunking may not multiply what a body costs us: one byte a chunk takes six on the wire.
_OVERHEAD = 8


class ChunkedBody:
    """h11 undoes the chunking; then the lines between the data are held against the grammar."""

    def __init__(self, reader: h11.Connection, max_body_bytes: int) -> None:
        self._reader = reader
        self._max_body_bytes = max_body_bytes
        self._raw = bytearray()
        self._body = bytearray()
        self._chunk_sizes: list[int] = []

    def feed(self, data: bytes) -> tuple[bytes | None, bytes]:
        """Return the body once it is complete (None before), and the bytes behind it."""
        if data:
            self._raw += data
            self._reader.receive_data(data)
        while True:
            try:
                event = self._reader.next_event()
            except h11.RemoteProtocolError as error:
                refuse(error)
            if isinstance(event, h11.Data):
                if event.chunk_start:
                    self._chunk_sizes.append(0)
                self._chunk_sizes[-1] += len(event.data)
                self._body += event.data
                if len(self._body) > self._max_body_bytes:
                    raise Refused(replies.PAYLOAD_TOO_LARGE)
            elif isinstance(event, h11.EndOfMessage):
                unused, _ = self._reader.trailing_data
                self._check_lines(bytes(self._raw[: len(self._raw) - len(unused)]))
                return bytes(self._body), unused
            else:
                if len(self._raw) > _OVERHEAD * self._max_body_bytes:
                    raise Refused(replies.PAYLOAD_TOO_LARGE)
                return None, b""

    def _check_lines(self, raw: bytes) -> None:
        at = 0
        for size in self._chunk_sizes:
            line = _CHUNK_LINE.match(raw, at)
            if line is None:
                raise Refused(replies.INVALID_HTTP)
            at = line.end() + size + len(b"\r\n")
        if not _LAST_CHUNK.fullmatch(raw, at):
            raise Refused(replies.INVALID_HTTP)
