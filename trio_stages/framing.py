"""HTTP/1 requests out of bytes: sans-IO, h11 decides, and where h11 is lenient we are strict.

Rules:

1. No I/O and no clock here: bytes go in through ``feed``, requests come out of ``next_request``.
2. A request comes out when its last byte is in; the bytes behind it stay for the next one.
3. Whatever two parties could read in two ways (RFC 9112, sections 2.2, 5, 6 and 11.2) is refused,
   and after a refusal nothing more is read: no neighbour's request is ever misread.
4. At most ``max_header_bytes`` of a head and ``max_body_bytes`` of a body are ever kept; each byte
   is looked at a bounded number of times, also when it comes alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, NoReturn

import h11

from . import replies

if TYPE_CHECKING:
    from .replies import Reply

MAX_HEADER_FIELDS = 100

# What h11 lets pass and RFC 9112 calls a risk: bare CR or LF (2.2), obsolete folding (5.2), and
# control characters (RFC 9110, 5.5).
_LAX = re.compile(rb"\r(?!\n)|(?<!\r)\n|\r\n[ \t]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# As much of a request line as tells that a client speaks HTTP at all, before its head is complete.
_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-\xff]+ HTTP/[0-9]\.[0-9]\r\n")
_ABSOLUTE_FORM = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")
# RFC 9112, 7.1, without h11's blanks and with no bare CR in an extension.
_CHUNK_LINE = re.compile(rb"[0-9A-Fa-f]{1,16}(?:;[\t -~\x80-\xff]*)?\r\n")
_LAST_CHUNK = re.compile(
    rb"0{1,16}(?:;[\t -~\x80-\xff]*)?\r\n(?:[!-9;-~]+:[\t -~\x80-\xff]*\r\n)*\r\n"
)
# Chunking may not multiply what a body costs us: one byte a chunk takes six on the wire.
_CHUNKED_OVERHEAD = 8


class Phase(Enum):
    """What the client owes us; the connection has a timeout for each."""

    IDLE = auto()  #: nothing of the next request has come
    HEAD = auto()  #: some of a head has come
    BODY = auto()  #: the head is complete, the body is not


class Refused(Exception):
    """The input broke a rule or a limit: send ``reply``, then close."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.reason)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Head:
    """What the head of a request says, with all that matters for framing."""

    method: bytes
    path: bytes  #: without query, scheme and authority
    body_bytes: int  #: declared length; 0 with ``chunked``
    chunked: bool
    expects_continue: bool
    keep_alive: bool
    http_1_0: bool


@dataclass(frozen=True, slots=True)
class Request:
    """A complete request."""

    head: Head
    body: bytes


class RequestReader:
    """One connection's incoming half.

    Args:
        max_header_bytes: longest accepted head, request line included.
        max_body_bytes: longest accepted body, after any chunking is undone.
    """

    def __init__(self, *, max_header_bytes: int = 16_384, max_body_bytes: int = 1_048_576) -> None:
        self._max_header_bytes = max_header_bytes
        self._max_body_bytes = max_body_bytes
        self._buffer = bytearray()
        self._searched = 0  # no end of head before this offset
        self._head: Head | None = None  # parsed, its body still to come
        self._chunks: _ChunkedBody | None = None
        self._eof = False
        self._refused = False
        self._continue_due = False

    @property
    def phase(self) -> Phase:
        """What is being waited for."""
        if self._head is not None:
            return Phase.BODY
        return Phase.HEAD if self._buffer else Phase.IDLE

    @property
    def buffered_bytes(self) -> int:
        """Received and not yet part of a request."""
        return len(self._buffer)

    @property
    def at_eof(self) -> bool:
        """The client will send nothing more (it may still be reading)."""
        return self._eof

    def continue_due(self) -> bool:
        """Whether the client waits for ``100 Continue`` with its body; said once for a request."""
        due, self._continue_due = self._continue_due, False
        return due

    def feed(self, data: bytes | bytearray) -> None:
        """Take what the socket gave; ``b""`` is the end of the client's sending."""
        if data:
            self._buffer += data
        else:
            self._eof = True

    def next_request(self) -> Request | None:
        """Return the next complete request, or None while bytes are missing.

        Raises:
            Refused: the input is not acceptable; the connection is to be closed after the reply.
        """
        if self._refused:
            return None
        try:
            return self._next_request()
        except Refused:
            self._refused = True
            raise

    def _next_request(self) -> Request | None:
        head = self._head
        if head is None:
            head = self._next_head()
            if head is None:
                return None
            if head.body_bytes > self._max_body_bytes:
                raise Refused(replies.PAYLOAD_TOO_LARGE)
            self._head = head
            self._continue_due = head.expects_continue and not self._buffer
        body = self._next_body(head)
        if body is None:
            if self._eof:
                raise Refused(replies.INVALID_HTTP)
            return None
        self._head = None
        self._continue_due = False
        return Request(head, body)

    def _next_head(self) -> Head | None:
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # RFC 9112, 2.2: empty lines before a request
            del buffer[:2]
            self._searched = 0
        end = buffer.find(b"\r\n\r\n", self._searched)
        if end < 0:
            self._check_unfinished_head()
            self._searched = max(0, len(buffer) - 3)
            return None
        size = end + 4
        if size > self._max_header_bytes:
            raise Refused(replies.HEADERS_TOO_LARGE)
        raw = bytes(buffer[:size])
        del buffer[:size]
        self._searched = 0
        head, reader = parse_head(raw)
        if head.chunked:
            self._chunks = _ChunkedBody(reader, self._max_body_bytes)
        return head

    def _check_unfinished_head(self) -> None:
        """Refuse at once what no further byte can make right."""
        buffer = self._buffer
        if not buffer:
            return
        if self._eof:
            raise Refused(replies.INVALID_HTTP)
        # A CR at the very end may yet get its LF.
        lax = _LAX.search(buffer, max(0, self._searched - 1))
        if lax and not (lax.group() == b"\r" and lax.end() == len(buffer)):
            raise Refused(replies.INVALID_HTTP)
        if buffer.find(b"\r\n", max(0, self._searched - 1)) >= 0 and not _REQUEST_LINE.match(
            buffer
        ):
            raise Refused(replies.INVALID_HTTP)
        if len(buffer) > self._max_header_bytes:
            raise Refused(replies.HEADERS_TOO_LARGE)

    def _next_body(self, head: Head) -> bytes | None:
        if self._chunks is not None:
            data = bytes(self._buffer)
            self._buffer.clear()
            body, unused = self._chunks.feed(data)
            if body is not None:
                self._buffer += unused
                self._chunks = None
            return body
        if not head.body_bytes:
            return b""
        if len(self._buffer) < head.body_bytes:
            return None
        body = bytes(self._buffer[: head.body_bytes])
        del self._buffer[: head.body_bytes]
        return body


def parse_head(raw: bytes) -> tuple[Head, h11.Connection]:
    """Let h11 read one head, and be strict where it is lenient.

    Args:
        raw: the head from the request line to the empty line, complete.

    Returns:
        What it says, and the h11 connection, which would go on to read a chunked body.

    Raises:
        Refused: with the contract's reply.
    """
    if _LAX.search(raw):
        raise Refused(replies.INVALID_HTTP)
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=len(raw) + 1)
    reader.receive_data(raw)
    try:
        request = reader.next_event()
    except h11.RemoteProtocolError as error:
        _refuse(error)
    assert isinstance(request, h11.Request)
    version = request.http_version
    if not version.startswith(b"1."):
        raise Refused(replies.VERSION_NOT_SUPPORTED)
    http_1_0 = version == b"1.0"
    if len(request.headers) > MAX_HEADER_FIELDS:
        raise Refused(replies.HEADERS_TOO_LARGE)
    length: int | None = None
    chunked = expects_continue = False
    keep_alive = not http_1_0
    for name, value in request.headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            chunked = True
        elif name == b"connection":
            options = [option.strip() for option in value.lower().split(b",")]
            keep_alive = b"close" not in options and (keep_alive or b"keep-alive" in options)
        elif name == b"expect" and not http_1_0:  # RFC 9110, 10.1.1: HTTP/1.0 does not know it
            if value.lower() != b"100-continue":
                raise Refused(replies.EXPECTATION_FAILED)
            expects_continue = True
    # RFC 9112, 6.1: both lengths, or chunks from an HTTP/1.0 client, are how requests are smuggled.
    if chunked and (length is not None or http_1_0):
        raise Refused(replies.INVALID_HTTP)
    path = request.target.partition(b"?")[0]
    if not path.startswith(b"/"):
        path = _ABSOLUTE_FORM.sub(b"", path, count=1) or b"/"
    head = Head(
        method=request.method,
        path=path,
        body_bytes=length or 0,
        chunked=chunked,
        expects_continue=expects_continue,
        keep_alive=keep_alive and request.method != b"CONNECT",  # a tunnel's bytes are no requests
        http_1_0=http_1_0,
    )
    return head, reader


class _ChunkedBody:
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
                _refuse(error)
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
                if len(self._raw) > _CHUNKED_OVERHEAD * self._max_body_bytes:
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


def _refuse(error: h11.RemoteProtocolError) -> NoReturn:
    """h11's verdict as the contract's reply."""
    by_status = {431: replies.HEADERS_TOO_LARGE, 501: replies.UNKNOWN_TRANSFER_CODING}
    raise Refused(by_status.get(error.error_status_hint, replies.INVALID_HTTP)) from None
