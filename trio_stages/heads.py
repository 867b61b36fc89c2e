"""The head of a request: h11 reads it, and where h11 is lenient we are strict.

Rules:

1. Whatever two parties could read in two ways (RFC 9112, sections 2.2, 5, 6 and 11.2) is refused.
2. A head that h11 has judged twice is remembered, and h11 is not asked again about the same bytes.
   Only what is complete, plain and right is remembered: no chunks, no Expect, no Upgrade, no
   HTTP/1.0.
3. Nor is it asked about a head that differs from such a one in its asides alone: the fields that
   say nothing about the message or the connection (a request id, a date, a user agent), if each is
   a field by h11's own grammar.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any, NoReturn

import h11

from . import replies
from .messages import Head

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .replies import Reply

MAX_HEADER_FIELDS = 100
# Longer heads are not remembered, unless it is asides that make them long: with the number of
# heads in a ``HeadMemory`` this bounds its size.
LONGEST_REMEMBERED_BYTES = 4096

# What h11 lets pass and RFC 9112 calls a risk: bare CR or LF (2.2), obsolete folding (5.2), and
# control characters (RFC 9110, 5.5).
LAX = re.compile(rb"\r(?!\n)|(?<!\r)\n|\r\n[ \t]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Whole lines without any of it: seven times as fast as looking for it everywhere.
_CLEAN = re.compile(rb"(?:[\t -~\x80-\xff]*+\r\n(?![ \t]))*+")
# One field of a head, with the line's end before it: a name that neither h11 nor ``understand``
# looks at, and a value of what RFC 9110 (5.5) allows in one, which h11 does too.
_ASIDE = re.compile(
    rb"\r\n(?!(?i:host|content-length|transfer-encoding|connection|expect|upgrade):)"
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~\x80-\xff]*+(?=\r\n)"
)
# RFC 3986, 3.2.2 and 3.2.3: a name or an address, and a port. No user name: RFC 9110, 4.2.4.
_NAME = rb"(?:[!$&-.0-9;=A-Z_a-z~]|%[0-9A-Fa-f]{2})"
_ADDRESS = rb"\[(?:(?P<ipv6>[0-9A-Fa-f:.]+)|[Vv][0-9A-Fa-f]+\.[!$&-.0-;=A-Z_a-z~]+)]"
_HOST = re.compile(rb"(?:%b|%b*)(?::[0-9]*)?" % (_ADDRESS, _NAME))
# RFC 9112, 3.2.2 and 3.2.3. An https resource is not for a server without TLS (RFC 9110, 7.4).
_ABSOLUTE_FORM = re.compile(
    rb"http://(?:%b|%b+)(?::[0-9]*)?(?=[/?]|\Z)" % (_ADDRESS, _NAME), re.IGNORECASE
)
_AUTHORITY_FORM = re.compile(rb"(?:%b|%b+):[0-9]+" % (_ADDRESS, _NAME))


class Refused(Exception):
    """The input broke a rule or a limit: send ``reply``, then close."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.reason)
        self.reply = reply


def parse_head(raw: bytes) -> Head:
    """Let h11 read one head, and be strict where it is lenient.

    Args:
        raw: the head from the request line to the empty line, complete.

    Returns:
        What it says.

    Raises:
        Refused: with the contract's reply.
    """
    if not _CLEAN.fullmatch(raw):
        raise Refused(replies.INVALID_HTTP)
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(raw)
    try:
        request = reader.next_event()
    except h11.RemoteProtocolError as error:
        refuse(error)
    assert isinstance(request, h11.Request)
    # Counted as sent: h11 has made one of lengths that agree.
    if raw.count(b"\r\n") > MAX_HEADER_FIELDS + 2:
        raise Refused(replies.HEADERS_TOO_LARGE)
    return understand(request.method, request.target, request.http_version, request.headers)


def understand(
    method: bytes, target: bytes, version: bytes, fields: Iterable[tuple[bytes, bytes]]
) -> Head:
    """Say what a head means that h11 has taken apart, and be strict about its meaning.

    Args:
        method: as sent.
        target: as sent; the query may be left out.
        version: such as ``1.1``.
        fields: names in lower case, no blanks around the values, no two hosts or lengths.

    Raises:
        Refused: with the contract's reply.
    """
    if not version.startswith(b"1."):
        raise Refused(replies.VERSION_NOT_SUPPORTED)
    http_1_0 = version == b"1.0"
    host: bytes | None = None
    length: int | None = None
    chunked = expects_continue = upgrade = False
    options: set[bytes] = set()
    for name, value in fields:
        if name == b"host":
            host = value
        elif name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            chunked = True
        elif name == b"connection":
            options.update(option.strip() for option in value.lower().split(b","))
        elif name == b"expect" and not http_1_0:  # RFC 9110, 10.1.1: HTTP/1.0 does not know it
            expected = {member.strip() for member in value.lower().split(b",")} - {b""}
            if expected - {b"100-continue"}:
                raise Refused(replies.EXPECTATION_FAILED)
            expects_continue |= bool(expected)
        elif name == b"upgrade":
            upgrade = True
    # RFC 9112, 6.1: both lengths, or chunks from an HTTP/1.0 client, are how requests are smuggled.
    if chunked and (length is not None or http_1_0):
        raise Refused(replies.INVALID_HTTP)
    # RFC 9112, 3.2. (h11 lets HTTP/1.2 do without.)
    if not (http_1_0 if host is None else _with_address(_HOST.fullmatch(host))):
        raise Refused(replies.INVALID_HTTP)
    keep_alive = b"close" not in options and (not http_1_0 or b"keep-alive" in options)
    return Head(
        method=method,
        path=_path(method, target),
        body_bytes=length or 0,
        chunked=chunked,
        expects_continue=expects_continue,
        keep_alive=keep_alive and method != b"CONNECT",  # a tunnel's bytes are no requests
        http_1_0=http_1_0,
        plain=not (chunked or expects_continue or upgrade or http_1_0),
    )


def _path(method: bytes, target: bytes) -> bytes:
    """The target without query, scheme and authority, if it has one of the forms of 9112, 3.2."""
    if method == b"CONNECT":
        if _with_address(_AUTHORITY_FORM.fullmatch(target)):
            return target
    elif target.startswith(b"/"):
        return target.partition(b"?")[0]
    elif absolute := _with_address(_ABSOLUTE_FORM.match(target)):
        return target[absolute.end() :].partition(b"?")[0] or b"/"
    elif target == b"*" and method == b"OPTIONS":
        return target
    raise Refused(replies.INVALID_HTTP)


def _with_address(found: re.Match[bytes] | None) -> re.Match[bytes] | None:
    """The match, unless what stands in it for an IPv6 address is none."""
    if found is not None and found["ipv6"]:
        try:
            IPv6Address(found["ipv6"].decode())
        except ValueError:
            return None
    return found


def refuse(error: h11.RemoteProtocolError) -> NoReturn:
    """h11's verdict as the contract's reply."""
    by_status = {501: replies.UNKNOWN_TRANSFER_CODING}
    raise Refused(by_status.get(error.error_status_hint, replies.INVALID_HTTP)) from None


class HeadMemory:
    """What h11 made of the heads that come again and again.

    A flood sends thousands of requests with the same head, and reading it is a third of what each
    costs. A head is admitted on second sight, with its asides and without, so that heads which
    never come again do not push out the regulars; when it is full, the oldest leaves.

    Args:
        size: heads remembered, with and without asides, and as many candidates (of these only the
            hash).
    """

    def __init__(self, size: int = 1024) -> None:
        self._size = size
        self._heads: dict[bytes, Head] = {}
        self._seen_once: dict[int, None] = {}

    def recall(self, raw: bytes) -> Head | None:
        """Return what this head means, or None if h11 is to be asked."""
        heads = self._heads
        head = heads.get(raw)
        if head is None and heads and raw.count(b"\r\n") <= MAX_HEADER_FIELDS + 2:
            head = heads.get(_ASIDE.sub(b"", raw))
            if head is not None:
                self._consider(raw, head)
        return head

    def consider(self, raw: bytes, head: Head) -> None:
        """Remember a head that h11 has read, if it may be and has been here before."""
        if head.plain and self._size:
            for known_by in {raw, _ASIDE.sub(b"", raw)}:
                self._consider(known_by, head)

    def _consider(self, known_by: bytes, head: Head) -> None:
        if len(known_by) > LONGEST_REMEMBERED_BYTES:
            return
        key = hash(known_by)
        if key not in self._seen_once:
            self._seen_once[key] = None
            _keep_newest(self._seen_once, self._size)
            return
        del self._seen_once[key]
        self._heads[known_by] = head
        _keep_newest(self._heads, self._size)


def _keep_newest(entries: dict[Any, Any], size: int) -> None:
    if len(entries) > size:
        del entries[next(iter(entries))]
