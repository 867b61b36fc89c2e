"""HTTP/1 requests out of bytes: sans-IO, on h11.

Rules:

1. No I/O and no clock here: bytes go in through ``feed``, requests come out of ``next_request``
   (``receive`` is one call for both).
2. A request comes out when its last byte is in; the bytes behind it stay for the next one.
3. After a refusal nothing more is read: no neighbour's request is ever misread.
4. At most ``max_header_bytes`` of a head (or of a line between chunks) and ``max_body_bytes`` of a
   body are ever kept; each byte is looked at a bounded number of times, also when it comes alone.
5. The same bytes have the same fate, in whatever pieces they come.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from . import replies
from .chunks import ChunkedBody
from .heads import LAX, HeadMemory, Refused, parse_head
from .messages import Head, Request

__all__ = ["Head", "Phase", "Refused", "Request", "RequestReader"]

# As much of a request line as tells that a client speaks HTTP at all, before its head is complete.
_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-\xff]+ HTTP/[0-9]\.[0-9]\r\n")
# RFC 9112, 2.2: they may come before a request, and mean nothing.
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")

#: One for the process: the same clients come back on new connections. Used by its one Trio thread.
HEADS = HeadMemory()
#: Remembers nothing: h11 reads every head (``--no-fast-path``).
NO_HEADS = HeadMemory(size=0)


class Phase(Enum):
    """What the client owes us; the connection has a timeout for each.

    (The first head it owes from the accept on, whether or not any of it has come.)
    """

    IDLE = auto()  #: nothing of the next request has come, or empty lines
    HEAD = auto()  #: some of a head has come
    BODY = auto()  #: the head is complete, the body is not


# By these names, for looking a member up in its class takes time (``jobs.py``).
IDLE, HEAD, BODY = Phase


class RequestReader:
    """One connection's incoming half.

    Args:
        max_header_bytes: longest accepted head, request line included.
        max_body_bytes: longest accepted body, after any chunking is undone.
        heads: what is remembered of heads that h11 has read.
    """

    def __init__(
        self,
        *,
        max_header_bytes: int = 16_384,
        max_body_bytes: int = 1_048_576,
        heads: HeadMemory = HEADS,
    ) -> None:
        self._heads = heads
        self._max_header_bytes = max_header_bytes
        self._max_body_bytes = max_body_bytes
        self._buffer = bytearray()
        self._searched = 0  # no end of head before this offset
        self._to_head = False  # the head that came last, or is coming, is of a HEAD request
        self._speaks_http = False  # the request line is one
        self._head: Head | None = None  # parsed, its body still to come
        self._chunks: ChunkedBody | None = None
        self._eof = False
        self._refused = False
        self._continue_due = False

    @property
    def phase(self) -> Phase:
        """What is being waited for."""
        if self._head is not None:
            return BODY
        return HEAD if self.buffered_bytes else IDLE

    @property
    def idle(self) -> bool:
        """Nothing has come since the last request: ``phase is IDLE``, at less cost."""
        return not (self._buffer or self._head)

    @property
    def buffered_bytes(self) -> int:
        """Received and not yet part of a request."""
        return len(self._buffer)

    @property
    def at_eof(self) -> bool:
        """The client will send nothing more (it may still be reading)."""
        return self._eof

    @property
    def to_head(self) -> bool:
        """What was refused, or waited for in vain, is a HEAD request: no reply has a body."""
        return self._to_head

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

    def receive(self, data: bytes) -> Request | None:
        """``feed``, then ``next_request``.

        In less time where ``data`` is one whole request, and nothing else, whose head is
        remembered: what nearly all are.

        Raises:
            Refused: as ``next_request``.
        """
        recalled = None
        if not (self._buffer or self._head or self._refused):
            size = data.find(b"\r\n\r\n") + 4  # 3 if there is no end, and so short is no head
            recalled = self._heads.recall(data[:size])
            if (
                recalled is not None
                and size + recalled.body_bytes == len(data)
                and size <= self._max_header_bytes
                and recalled.body_bytes <= self._max_body_bytes
            ):
                return Request(recalled, data[size:])
        self.feed(data)
        return self._checked(recalled)

    def next_request(self) -> Request | None:
        """Return the next complete request, or None while bytes are missing.

        Raises:
            Refused: the input is not acceptable; the connection is to be closed after the reply.
        """
        return self._checked(None)

    def _checked(self, recalled: Head | None) -> Request | None:
        if self._refused:
            return None
        try:
            return self._next_request(recalled)
        except Refused:
            self._refused = True
            raise

    def _next_request(self, recalled: Head | None) -> Request | None:
        head = self._head
        if head is None:
            head = self._next_head(recalled)
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

    def _next_head(self, recalled: Head | None) -> Head | None:
        buffer = self._buffer
        if empty_lines := _EMPTY_LINES.match(buffer):
            del buffer[: empty_lines.end()]
            self._searched = 0
        self._to_head = buffer.startswith(b"HEAD ")
        end = buffer.find(b"\r\n\r\n", self._searched, self._max_header_bytes)
        if end < 0:
            self._check_unfinished_head()
            self._searched = max(0, len(buffer) - 3)
            return None
        size = end + 4
        raw = bytes(buffer[:size])
        del buffer[:size]
        self._searched = 0
        self._speaks_http = False
        head = recalled or self._heads.recall(raw)  # those it knows it counts
        if head is None:
            head = parse_head(raw)
            self._heads.consider(raw, head)
            if head.chunked:
                self._chunks = ChunkedBody(
                    max_body_bytes=self._max_body_bytes,
                    max_trailer_bytes=self._max_header_bytes,
                )
        return head

    def _check_unfinished_head(self) -> None:
        """Refuse at once what no further byte can make right."""
        buffer = self._buffer
        if not buffer:
            return
        start, end = self._searched, min(len(buffer), self._max_header_bytes)
        # A CR at the very end may yet get its LF.
        lax = LAX.search(buffer, start, end)
        if lax and not (lax.group() == b"\r" and lax.end() == end):
            raise Refused(replies.INVALID_HTTP)
        if not self._speaks_http and buffer.find(b"\r\n", start, end) >= 0:
            if not _REQUEST_LINE.match(buffer):
                raise Refused(replies.INVALID_HTTP)
            self._speaks_http = True
        if len(buffer) > end:
            raise Refused(replies.HEADERS_TOO_LARGE)
        if self._eof:
            raise Refused(replies.INVALID_HTTP)

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
