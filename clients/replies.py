"""A reply, from its bytes: nothing here touches a socket.

Not spoken: replies to HEAD, chunked ones, several at a time.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class BadReply(Exception):
    """What came is no HTTP reply."""


class Reply(NamedTuple):
    """One reply.

    Attributes:
        status: such as 202.
        body: without framing.
        close: the connection does not outlive it.
        retry_after_s: ``Retry-After`` in seconds, if it has one that is a number.
        allow: the ``Allow`` header, if it has one.
    """

    status: int
    body: bytes
    close: bool
    retry_after_s: int | None
    allow: str | None

    def json(self) -> Any:
        """The body as JSON, or None if it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):  # an echo of what was meant to be malformed
            return None


def parse_reply(data: bytes, *, eof: bool = False) -> Reply | None:
    """Read one whole reply; interim (1xx) ones before it are skipped.

    Args:
        data: all that came since the request was sent.
        eof: nothing follows.

    Returns:
        The reply, or None as long as it is incomplete.

    Raises:
        BadReply: this is no reply, more than one, or (at ``eof``) only a part of one.
    """
    while True:
        head, blank, body = data.partition(b"\r\n\r\n")
        if not blank:
            if eof:
                raise BadReply("closed before the reply was complete")
            return None
        lines = head.decode("latin-1").split("\r\n")
        version, _, rest = lines[0].partition(" ")
        code = rest[:3]
        if not (version in ("HTTP/1.1", "HTTP/1.0") and len(code) == 3 and code.isdecimal()):
            raise BadReply(f"not a status line: {lines[0][:60]!r}")
        status = int(code)
        if status >= 200:
            break
        data = body

    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadReply(f"not a header field: {line[:60]!r}")
        if headers.setdefault(name.lower(), value.strip()) != value.strip():
            raise BadReply(f"two different {name} fields")
    if "transfer-encoding" in headers:
        raise BadReply("a reply with a transfer coding")

    connection = headers.get("connection", "").lower()
    close = connection != "keep-alive" if version == "HTTP/1.0" else "close" in connection
    length = "0" if status in (204, 304) else headers.get("content-length")
    if length is None:  # the body ends where the connection does
        if not eof:
            return None
        close = True
    elif not length.isdecimal():
        raise BadReply(f"Content-Length: {length[:60]!r}")
    elif len(body) < int(length):
        if eof:
            raise BadReply("closed before the reply was complete")
        return None
    elif len(body) > int(length):
        raise BadReply("bytes after the reply")
    retry_after = headers.get("retry-after", "")
    return Reply(
        status,
        body,
        close,
        int(retry_after) if retry_after.isdecimal() else None,
        headers.get("allow"),
    )
