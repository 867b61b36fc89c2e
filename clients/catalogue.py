"""The malformed catalogue: what is sent, and what a server from stage 3 up must reply.

A ``Row`` is one mistake on one connection. Rows about the content keep the connection, rows about
the framing end it: once a length is in doubt, whatever follows might be a neighbour's request.
A few rows are no mistakes but look like ones.
"""

from __future__ import annotations

from dataclasses import dataclass

# Placeholder for the status of a valid event: 200 at stages 3 and 4, 202 from stage 5 on.
ACCEPTED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One malformed request.

    Attributes:
        name: for the table.
        send: the bytes.
        status: expected; ``ACCEPTED`` for a valid event.
        reason: expected in the reply's JSON; None: any.
        close: whether the server ends the connection.
        half_close: the server is told that nothing follows; it may then close without a reply.
    """

    name: str
    send: bytes
    status: int
    reason: str | None = None
    close: bool
    half_close: bool = False


VALID = b'{"user":"garbage","action":"probe","amount":1}'


def post(body: bytes, *fields: bytes) -> bytes:
    """A well-formed POST with a body of whatever kind."""
    length = b"Content-Length: %d" % len(body)
    return framed(b"POST / HTTP/1.1", b"Host: garbage", length, *fields, body=body)


def framed(*lines: bytes, body: bytes = b"") -> bytes:
    """A head of these lines, and what follows it."""
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def event(
    user: bytes = b'"garbage"', action: bytes = b'"probe"', amount: bytes = b"1", more: bytes = b""
) -> bytes:
    """An event of raw JSON values."""
    return b'{"user":%s,"action":%s,"amount":%s%s}' % (user, action, amount, more)


def _body(name: str, body: bytes) -> Row:
    """A body that is no event: the request is well-formed, so the connection lives on."""
    return Row(name=name, send=post(body), status=400, reason="invalid_json", close=False)


def _valid(name: str, send: bytes) -> Row:
    return Row(name=name, send=send, status=ACCEPTED, close=False)


def _http(name: str, send: bytes) -> Row:
    """No HTTP, or HTTP that two readers may read in two ways."""
    return _refused(name, send, 400, "invalid_http")


def _refused(name: str, send: bytes, status: int, reason: str | None = None) -> Row:
    """Refused before it was read to the end."""
    return Row(name=name, send=send, status=status, reason=reason, close=True)


def _cut_off(name: str, send: bytes) -> Row:
    """The client stops halfway, and says so."""
    return Row(name=name, send=send, status=400, close=True, half_close=True)


def _routing(name: str, send: bytes, status: int) -> Row:
    reason = {404: "not_found", 405: "method_not_allowed"}[status]
    return Row(name=name, send=send, status=status, reason=reason, close=False)


POST, HOST = b"POST / HTTP/1.1", b"Host: garbage"
LENGTH = b"Content-Length: %d" % len(VALID)
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(VALID), VALID)

BODIES = (
    _valid("valid", post(VALID)),
    _body("empty body", b""),
    _body("not json at all", b"not json at all"),
    _body('{"foo":"bar"}', b'{"foo":"bar"}'),
    _body("an array", b"[" + VALID + b"]"),
    _body("null", b"null"),
    _body("cut short", VALID[:-1]),
    _body("two events", VALID + VALID),
    _body("amount in quotes", event(amount=b'"100"')),
    _body("amount 1.0", event(amount=b"1.0")),
    _body("amount 1e2", event(amount=b"1e2")),
    _body("amount true", event(amount=b"true")),
    _body("amount null", event(amount=b"null")),
    _body("amount NaN", event(amount=b"NaN")),
    _body("amount Infinity", event(amount=b"Infinity")),
    _body("amount of 65 bits", event(amount=b"9223372036854775808")),
    _body("amount of 5,000 digits", event(amount=b"9" * 5000)),
    _body("no user", b'{"action":"probe","amount":1}'),
    _body("no action", b'{"user":"garbage","amount":1}'),
    _body("no amount", b'{"user":"garbage","action":"probe"}'),
    _body("empty user", event(user=b'""')),
    _body("user a number", event(user=b"7")),
    _body("user of 257 characters", event(user=b'"%s"' % (b"u" * 257))),
    _body("empty action", event(action=b'""')),
    _valid("unknown member: ignored", post(event(more=b',"note":"hello"'))),
    _valid("member twice, last good", post(event(amount=b'"no"', more=b',"amount":1'))),
    _body("member twice, last bad", event(more=b',"amount":"no"')),
    _body("nested 100,000 deep", b"[" * 100_000),
    _body("invalid UTF-8", event(user=b'"\xff\xfe"')),
    _body("byte order mark", b"\xef\xbb\xbf" + VALID),
)

FRAMING = (
    _http("not HTTP", b"this is not HTTP\r\n\r\n"),
    _http("HTTP/0.9", b"GET /\r\n\r\n"),
    _http("TLS hello", bytes.fromhex("160301009c010000980303") + bytes(range(32)) + b"\r\n\r\n"),
    _refused("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    _refused("version HTTP/2.0", framed(b"GET /health HTTP/2.0", HOST), 505),
    _http("no Host", framed(b"GET /health HTTP/1.1")),
    _http("two Hosts", framed(b"GET /health HTTP/1.1", HOST, HOST)),
    _http("space before the colon", framed(POST, HOST, b"Content-Length : 2", body=b"{}")),
    _http("folded header", framed(POST, HOST, LENGTH, b"X-Folded: a", b" b", body=VALID)),
    _http("bare LF", post(VALID).replace(b"\r\n", b"\n")),
    _http("bare CR", post(VALID, b"X-Bare: a\rb")),
    _http("NUL in a header", post(VALID, b"X-Nul: a\0b")),
    _http("header without a colon", post(VALID, b"nonsense")),
    _http("conflicting lengths", post(VALID, b"Content-Length: 4")),
    _http("negative length", framed(POST, HOST, b"Content-Length: -1")),
    _http("length +5", framed(POST, HOST, b"Content-Length: +5", body=b"[1,2]")),
    _http("length and chunked", framed(POST, HOST, LENGTH, CHUNKED, body=CHUNKS)),
    _http("bad chunk size", framed(POST, HOST, CHUNKED, body=b"zz\r\n")),
    _valid("chunked", framed(POST, HOST, CHUNKED, body=CHUNKS)),
    _refused("coding gzip", framed(POST, HOST, b"Transfer-Encoding: gzip"), 501),
    _refused("Expect: banana", framed(POST, HOST, LENGTH, b"Expect: banana"), 417),
    _valid("Expect: 100-continue", framed(POST, HOST, LENGTH, b"Expect: 100-continue", body=VALID)),
    _refused(
        "header of 20,000 bytes",
        post(VALID, b"X-Large: " + b"x" * 20_000),
        431,
        "headers_too_large",
    ),
    _refused(
        "101 header fields",
        post(VALID, *(b"X-%d: x" % number for number in range(99))),
        431,
        "headers_too_large",
    ),
    _refused(
        "body of 1 TB, declared",
        framed(POST, HOST, b"Content-Length: 1000000000000"),
        413,
        "payload_too_large",
    ),
    _cut_off("half a body, then the end", post(VALID)[:-20]),
    _cut_off("half a head, then the end", b"POST / HT"),
)

ROUTING = (
    _routing("POST /nowhere", framed(b"POST /nowhere HTTP/1.1", HOST, LENGTH, body=VALID), 404),
    _routing("POST /stats", framed(b"POST /stats HTTP/1.1", HOST, LENGTH, body=VALID), 405),
    _routing("DELETE /events", framed(b"DELETE /events HTTP/1.1", HOST), 405),
)

CATALOGUE = BODIES + FRAMING + ROUTING
