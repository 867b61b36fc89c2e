"""Replies as bytes, built once: on the way out only the date and the connection's fate are added.

A flood is refused with the same few replies thousands of times a second; rendering them again each
time would cost more than the work they refuse.
"""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .messages import Head

JSON = "application/json"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Reply:
    """One reply, ready to be sent any number of times.

    Args:
        status: HTTP status code.
        body: the content.
        content_type: its media type.
        headers: further header fields.
        close: whether the connection ends with it, whatever the client asked for.
        reason: the contract's word for an error, for logs.
        http_error: whether the ledger counts it among ``http_errors``.
    """

    __slots__ = (
        *("_common", "_common_second", "_start", "_tail"),
        *("body", "close", "fields", "http_error", "reason", "status"),
    )

    def __init__(
        self,
        status: int,
        body: bytes,
        *,
        content_type: str = JSON,
        headers: dict[str, str] | None = None,
        close: bool = False,
        reason: str = "",
        http_error: bool = False,
    ) -> None:
        self.status = status
        self.body = body
        self.close = close
        self.reason = reason
        self.http_error = http_error
        self._start = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
        fields = {"Content-Type": content_type, "Content-Length": str(len(body))} | (headers or {})
        #: Header fields, less those that belong to the connection.
        self.fields = [(name.encode(), value.encode()) for name, value in fields.items()]
        self._tail = b"".join(b"%b: %b\r\n" % field for field in self.fields) + b"\r\n"
        self._common_second, self._common = 0, b""  # for most requests, and when

    def render(self, head: Head | None, *, to_head: bool = False) -> bytes:
        """Return the bytes for the wire.

        Args:
            head: of the request that it answers; None where there was no readable one.
            to_head: then, that it was a HEAD request all the same.
        """
        second = int(time.time())
        common = head is not None and head.plain and head.keep_alive and head.method != b"HEAD"
        if not common or self.close:
            return self._render(head, second, to_head)
        if self._common_second != second:
            self._common_second, self._common = second, self._render(head, second)
        return self._common

    def _render(self, head: Head | None, second: int, to_head: bool = False) -> bytes:
        if self.close or head is None or not head.keep_alive:
            connection = b"Connection: close\r\n"
        elif head.http_1_0:
            connection = b"Connection: keep-alive\r\n"
        else:
            connection = b""
        to_head |= head is not None and head.method == b"HEAD"
        body = b"" if to_head else self.body
        return b"".join((self._start, date_line(second), connection, self._tail, body))


@lru_cache(maxsize=2)
def date_line(second: int) -> bytes:
    """The Date field (RFC 9110, 6.6.1) for a Unix time in seconds."""
    return f"Date: {formatdate(second, usegmt=True)}\r\n".encode()


def json_reply(status: int, content: Any, **kwargs: Any) -> Reply:
    """A reply with ``content`` as JSON; the keyword arguments are Reply's."""
    return Reply(status, json.dumps(content, separators=(",", ":")).encode(), **kwargs)


def _error(status: int, reason: str, *, close: bool = False, **headers: str) -> Reply:
    content = {"status": "error", "reason": reason}
    return json_reply(status, content, headers=headers, close=close, reason=reason, http_error=True)


ACCEPTED = json_reply(202, {"status": "accepted"})
PROCESSED = json_reply(200, {"status": "accepted"})
HEALTHY = json_reply(200, {"status": "ok"})
STOPPING = json_reply(503, {"status": "stopping"}, http_error=True)
SHUTTING_DOWN = json_reply(503, {"status": "rejected", "reason": "shutting_down"}, close=True)

INVALID_HTTP = _error(400, "invalid_http", close=True)
NOT_FOUND = _error(404, "not_found")
POST_ONLY = _error(405, "method_not_allowed", Allow="POST")
GET_ONLY = _error(405, "method_not_allowed", Allow="GET, HEAD")
REQUEST_TIMEOUT = _error(408, "request_timeout", close=True)
PAYLOAD_TOO_LARGE = _error(413, "payload_too_large", close=True)
EXPECTATION_FAILED = _error(417, "expectation_failed", close=True)
HEADERS_TOO_LARGE = _error(431, "headers_too_large", close=True)
INTERNAL_ERROR = _error(500, "internal_error", close=True)
UNKNOWN_TRANSFER_CODING = _error(501, "unknown_transfer_coding", close=True)
VERSION_NOT_SUPPORTED = _error(505, "version_not_supported", close=True)
TOO_MANY_CONNECTIONS = _error(503, "too_many_connections", close=True)


def processed(balance: int) -> Reply:
    """The event has been applied; the user's balance is now this."""
    return json_reply(200, {"status": "accepted", "balance": balance})


def invalid_json(detail: list[dict[str, str]]) -> Reply:
    """The body is no event; ``detail`` says which field and why."""
    return json_reply(400, {"status": "error", "reason": "invalid_json", "detail": detail})


@lru_cache(maxsize=64)
def busy(retry_after_s: int) -> Reply:
    """The queue is full; come back in that many seconds (RFC 9110, 10.2.3)."""
    content = {"status": "rejected", "reason": "server_busy"}
    return json_reply(503, content, headers={"Retry-After": str(retry_after_s)})


def echo(body: bytes) -> Reply:
    """The body, back again."""
    return Reply(200, body, content_type="application/octet-stream")
