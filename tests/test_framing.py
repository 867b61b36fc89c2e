"""The framing: each input whole, byte by byte, in random splits, and with a neighbour behind it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from support_http import (
    CHUNKED,
    HOST,
    NEXT,
    POST,
    byte_by_byte,
    chunked,
    cut,
    framed,
    post,
    read,
    splits,
)

from trio_stages import heads
from trio_stages.framing import Phase, RequestReader
from trio_stages.heads import HeadMemory, parse_head

EVERY_BYTE = bytes(range(256))
TLS_HELLO = bytes.fromhex("160301009c010000980303") + bytes(range(32))
HTTP_2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@dataclass(frozen=True)
class Good:
    """A request, and how it is to be understood."""

    data: bytes
    body: bytes = b""
    method: bytes = b"POST"
    path: bytes = b"/"
    keep_alive: bool = True


def get(target: bytes, path: bytes) -> Good:
    return Good(framed(b"GET %s HTTP/1.1" % target, HOST), method=b"GET", path=path)


def connection(keep_alive: bool, *fields: bytes, version: bytes = b"1.1") -> Good:
    lines = [b"POST / HTTP/" + version, HOST]
    lines += [b"Connection: " + field for field in fields]
    return Good(framed(*lines), keep_alive=keep_alive)


GOOD = {
    "path": get(b"/health", b"/health"),
    "query": get(b"/health?a=1&b=/x?y", b"/health"),
    "empty query": get(b"/?", b"/"),
    "percent stays for the routes": get(b"/balances/a%2Fb", b"/balances/a%2Fb"),
    "absolute form": get(b"http://test:8080/health?a", b"/health"),
    "absolute form, capitals": get(b"HTTP://TEST/health", b"/health"),
    "absolute form without a path": get(b"http://test", b"/"),
    "absolute form, only a query": get(b"http://test?a=http://b/c", b"/"),
    "absolute form in the query": get(b"/health?http://a/b", b"/health"),
    "absolute form, an address": get(b"http://[::1]:8080/health", b"/health"),
    "absolute form, a port without number": get(b"http://test:/health", b"/health"),
    **{
        f"Host: {host.decode()}": Good(framed(POST, b"Host: " + host))
        for host in (
            b"test:8080",
            b"127.0.0.1",
            b"[::1]:80",
            b"[v1.x:y]",
            b"a%2Fb",
            b"a_b~c",
            b":80",
        )
    },
    "asterisk form": Good(framed(b"OPTIONS * HTTP/1.1", HOST), method=b"OPTIONS", path=b"*"),
    "CONNECT: what follows is no HTTP": Good(
        framed(b"CONNECT test:443 HTTP/1.1", HOST),
        method=b"CONNECT",
        path=b"test:443",
        keep_alive=False,
    ),
    "method of any token": Good(framed(b"m-search! / HTTP/1.1", HOST), method=b"m-search!"),
    "no length, no body": Good(framed(POST, HOST)),
    "length": Good(post(b"hello"), b"hello"),
    "length 0": Good(post(b"")),
    "every byte": Good(post(EVERY_BYTE), EVERY_BYTE),
    "a request in the body": Good(post(NEXT), NEXT),
    "GET with a body": Good(
        framed(b"GET / HTTP/1.1", HOST, b"Content-Length: 2", body=b"{}"), b"{}", method=b"GET"
    ),
    "names in lower case": Good(
        framed(POST, b"host: test", b"content-length: 2", body=b"{}"), b"{}"
    ),
    "NAMES IN CAPITALS": Good(framed(POST, b"HOST: test", b"CONTENT-LENGTH: 2", body=b"{}"), b"{}"),
    "nAMES in aNY cASE": Good(framed(POST, b"hOsT: test", b"cONtENT-LEngTH: 2", body=b"{}"), b"{}"),
    "blanks around a value": Good(
        framed(POST, b"Host:test", b"Content-Length: \t 2 \t", body=b"{}"), b"{}"
    ),
    "empty values": Good(framed(POST, b"Host:", b"X:")),
    "bytes above 127 in a value": Good(framed(POST, HOST, b"X: caf\xe9 \xff")),
    "the same length twice": Good(post(b"hello", b"Content-Length: 5"), b"hello"),
    "the same length in a list": Good(
        framed(POST, HOST, b"Content-Length: 5, 5", body=b"hello"), b"hello"
    ),
    "length with zeros before it": Good(
        framed(POST, HOST, b"Content-Length: 0005", body=b"hello"), b"hello"
    ),
    "empty lines before it": Good(b"\r\n\r\n\r\n" + post(b"hello"), b"hello"),
    "upgrade: ignored": Good(post(b"hi", b"Upgrade: h2c", b"Connection: upgrade"), b"hi"),
    "1.1": connection(True),
    "1.1, close": connection(False, b"close"),
    "1.1, Close in a list": connection(False, b"foo , ClOsE,\tbar"),
    "1.1, keep-alive": connection(True, b"keep-alive"),
    "1.1, keep-alive then close": connection(False, b"keep-alive", b"close"),
    "1.1, close then keep-alive": connection(False, b"close", b"keep-alive"),
    "1.1, close is part of a word": connection(True, b"closed, not-close"),
    "1.2 is read as 1.1": connection(True, version=b"1.2"),
    "1.0": connection(False, version=b"1.0"),
    "1.0, keep-alive": connection(True, b"keep-alive", version=b"1.0"),
    "1.0, Keep-Alive in a list": connection(True, b"foo,  KEEP-alive", version=b"1.0"),
    "1.0, close and keep-alive": connection(False, b"close, keep-alive", version=b"1.0"),
    "1.0, keep-alive then close": connection(False, b"keep-alive", b"close", version=b"1.0"),
    "1.0, close then keep-alive": connection(False, b"close", b"keep-alive", version=b"1.0"),
    "1.0 needs no Host": Good(framed(b"POST / HTTP/1.0"), keep_alive=False),
    "1.0 knows no Expect": Good(framed(b"POST / HTTP/1.0", b"Expect: a miracle"), keep_alive=False),
    "expect": Good(post(b"hello", b"Expect: 100-continue"), b"hello"),
    "Expect, capitals, twice": Good(
        post(b"hello", b"Expect: 100-CONTINUE", b"EXPECT: 100-continue"), b"hello"
    ),
    "expect, a list": Good(post(b"hello", b"Expect: 100-continue,, 100-continue"), b"hello"),
    "expect nothing": Good(post(b"hello", b"Expect: "), b"hello"),
    "chunked": Good(chunked(b"hello"), b"hello"),
    "Chunked, empty": Good(framed(POST, HOST, b"transfer-ENCODING: ChUnKeD", body=b"0\r\n\r\n")),
    "chunked, many small chunks": Good(chunked(*[b"x"] * 40), b"x" * 40),
    "chunked, every byte": Good(chunked(EVERY_BYTE), EVERY_BYTE),
    "chunked, a request in a chunk": Good(chunked(NEXT, NEXT), NEXT * 2),
    "chunked, capital hex and zeros": Good(
        framed(POST, HOST, CHUNKED, body=b"000A\r\n0123456789\r\n0000\r\n\r\n"), b"0123456789"
    ),
    "chunked, extensions longer than the head": Good(
        framed(POST, HOST, CHUNKED, body=b'5;a=1;b="%s"\r\nhello\r\n0;c\r\n\r\n' % (b"z" * 200)),
        b"hello",
    ),
    "chunked, trailers longer than the head": Good(
        chunked(b"hello", trailers=b"X-Sum: %s\r\nContent-Length: 9\r\nY:\r\n" % (b"7" * 200)),
        b"hello",
    ),
    "chunked, expect": Good(chunked(b"hello", fields=[b"Expect: 100-continue"]), b"hello"),
}


@pytest.mark.parametrize("good", GOOD.values(), ids=GOOD)
def test_a_good_request_is_understood_in_any_splits(good: Good) -> None:
    for pieces in splits(good.data):  # from the third time on its head may be remembered
        outcome = read(pieces)
        assert outcome.reason is None
        (request,) = outcome.requests
        head = request.head
        assert request.body == good.body
        assert (head.method, head.path) == (good.method, good.path)
        assert head.keep_alive is good.keep_alive


@pytest.mark.parametrize("good", GOOD.values(), ids=GOOD)
def test_what_follows_a_good_request_is_a_request_of_its_own(good: Good) -> None:
    data = NEXT + good.data + b"\r\n" + NEXT + good.data
    for pieces in splits(data):
        outcome = read(pieces)
        assert outcome.reason is None
        assert outcome.paths == [b"/next", good.path, b"/next", good.path]
        assert outcome.bodies == [b"", good.body, b"", good.body]


@pytest.mark.parametrize("good", GOOD.values(), ids=GOOD)
def test_the_end_at_every_byte(good: Good) -> None:
    for end in range(len(good.data) + 1):
        data = good.data[:end]
        outcome = read([*cut(data, []), b""])
        if end == len(good.data):
            assert (len(outcome.requests), outcome.reason) == (1, None)
        elif data.strip(b"\r\n") or data.endswith(b"\r"):
            assert (outcome.requests, outcome.reason) == ([], "invalid_http")
        else:
            assert (outcome.requests, outcome.reason) == ([], None)


INVALID, TOO_LARGE = "invalid_http", "payload_too_large"
BAD = {
    "not HTTP": (b"this is not HTTP\r\n\r\n", INVALID),
    "two words": (b"hello world\r\n\r\n", INVALID),
    "HTTP/0.9": (b"GET /\r\n\r\n", INVALID),
    "TLS": (TLS_HELLO + b"\r\n\r\n", INVALID),
    "HTTP/2 preface": (HTTP_2_PREFACE, "version_not_supported"),
    "HTTP/2.0": (framed(b"GET / HTTP/2.0", HOST), "version_not_supported"),
    "HTTP/0.9 by name": (framed(b"GET / HTTP/0.9", HOST), "version_not_supported"),
    "HTTP/1.10": (framed(b"GET / HTTP/1.10", HOST), INVALID),
    "http/1.1": (framed(b"GET / http/1.1", HOST), INVALID),
    "ICY/1.1": (framed(b"GET / ICY/1.1", HOST), INVALID),
    "two blanks in the request line": (framed(b"GET  / HTTP/1.1", HOST), INVALID),
    "a tab in the request line": (framed(b"GET\t/ HTTP/1.1", HOST), INVALID),
    "blank in the target": (framed(b"GET /a b HTTP/1.1", HOST), INVALID),
    "blank before the method": (framed(b" GET / HTTP/1.1", HOST), INVALID),
    "blank behind the version": (framed(b"GET / HTTP/1.1 ", HOST), INVALID),
    "bytes above 127 in the target": (framed(b"GET /caf\xc3\xa9 HTTP/1.1", HOST), INVALID),
    "method no token": (framed(b"G(T / HTTP/1.1", HOST), INVALID),
    "no Host": (framed(b"GET / HTTP/1.1"), INVALID),
    "no Host in 1.2": (framed(b"GET / HTTP/1.2"), INVALID),
    **{
        f"Host: {host.decode()}": (framed(POST, b"Host: " + host), INVALID)
        for host in (
            *(b"a b", b"a/b", b"a@b", b"http://a", b"a:b", b"a:80:80", b"::1", b"[::1", b"[]"),
            *(b"a%2", b"a%zz", b"a?b", b"a#b", b"<a>", b'"a"', b"a\\b"),
        )
    },
    "Host of bytes above 127": (framed(POST, b"Host: caf\xc3\xa9"), INVALID),
    **{
        f"{method.decode()} {target.decode()}": (
            framed(b"%s %s HTTP/1.1" % (method, target), HOST),
            INVALID,
        )
        for method, target in (
            *((b"GET", b"*"), (b"GET", b"health"), (b"GET", b"?a"), (b"GET", b"test:80")),
            *((b"GET", b"https://test/"), (b"GET", b"ftp://test/"), (b"GET", b"http:/test/")),
            *((b"GET", b"http:///health"), (b"GET", b"http://a@test/"), (b"GET", b"http://a:b/")),
            *((b"GET", b"xhttp://test/"), (b"OPTIONS", b"**"), (b"CONNECT", b"/")),
            *((b"CONNECT", b"test"), (b"CONNECT", b"http://test:80"), (b"CONNECT", b"test:80/")),
        )
    },
    "two Hosts": (framed(b"GET / HTTP/1.1", HOST, HOST), INVALID),
    "two Hosts in 1.0": (framed(b"GET / HTTP/1.0", HOST, b"host: b"), INVALID),
    "no colon": (framed(POST, HOST, b"nonsense"), INVALID),
    "no name": (framed(POST, HOST, b": nonsense"), INVALID),
    "name no token": (framed(POST, HOST, b"a(b: c"), INVALID),
    "blank before the colon": (framed(POST, HOST, b"Content-Length : 2", body=b"{}"), INVALID),
    "tab before the colon": (framed(POST, HOST, b"Content-Length\t: 2", body=b"{}"), INVALID),
    "folded with a blank": (framed(POST, HOST, b"X: a", b" b"), INVALID),
    "folded with a tab": (framed(POST, HOST, b"X: a", b"\tb"), INVALID),
    "folded before the first field": (framed(POST, b" X: a", HOST), INVALID),
    "folded, blank alone": (framed(POST, HOST, b" "), INVALID),
    "LF for CRLF everywhere": (framed(POST, HOST).replace(b"\r\n", b"\n"), INVALID),
    "LF for CRLF once": (framed(POST, HOST, b"a: b\nc: d"), INVALID),
    "LF for CRLF at the end": (framed(POST, HOST)[:-2] + b"\n", INVALID),
    "LF before the request": (b"\n" + framed(POST, HOST), INVALID),
    "CRLF LF before the request": (b"\r\n\n" + framed(POST, HOST), INVALID),
    "CR before the request": (b"\r" + framed(POST, HOST), INVALID),
    "bare CR in a value": (framed(POST, HOST, b"X: a\rb"), INVALID),
    "bare CR at the end of a line": (framed(POST, HOST, b"X: a\r"), INVALID),
    "bare CR in the request line": (framed(b"POST /\r HTTP/1.1", HOST), INVALID),
    **{
        f"0x{byte:02x} in a value": (framed(POST, HOST, b"X: a%cb" % byte), INVALID)
        for byte in (0, 1, 8, 11, 12, 14, 31, 127)
    },
    "NUL in a name": (framed(POST, HOST, b"X\0: a"), INVALID),
    "NUL in the target": (framed(b"POST /\0 HTTP/1.1", HOST), INVALID),
    "conflicting lengths": (post(b"hello", b"Content-Length: 4"), INVALID),
    "the same length, written otherwise": (post(b"hello", b"Content-Length: 05"), INVALID),
    "conflicting lengths in a list": (framed(POST, HOST, b"Content-Length: 5, 4"), INVALID),
    "length in a list with nothing": (framed(POST, HOST, b"Content-Length: 5,"), INVALID),
    "length empty": (framed(POST, HOST, b"Content-Length:"), INVALID),
    "length -1": (framed(POST, HOST, b"Content-Length: -1"), INVALID),
    "length +5": (framed(POST, HOST, b"Content-Length: +5", body=b"hello"), INVALID),
    "length 0x5": (framed(POST, HOST, b"Content-Length: 0x5", body=b"hello"), INVALID),
    "length 5 5": (framed(POST, HOST, b"Content-Length: 5 5", body=b"hello"), INVALID),
    "length 5.0": (framed(POST, HOST, b"Content-Length: 5.0", body=b"hello"), INVALID),
    "length 1_0": (framed(POST, HOST, b"Content-Length: 1_0"), INVALID),
    "length in other digits": (
        framed(POST, HOST, "Content-Length: \N{ARABIC-INDIC DIGIT FIVE}".encode()),
        INVALID,
    ),
    "length of 21 digits": (framed(POST, HOST, b"Content-Length: " + b"9" * 21), INVALID),
    "length of 20 digits": (framed(POST, HOST, b"Content-Length: " + b"9" * 20), TOO_LARGE),
    "length of 1 TB": (framed(POST, HOST, b"Content-Length: 1000000000000"), TOO_LARGE),
    "length and chunks": (chunked(b"hello", fields=[b"Content-Length: 5"]), INVALID),
    "length 0 and chunks": (chunked(b"hello", fields=[b"Content-Length: 0"]), INVALID),
    "chunks in 1.0": (framed(b"POST / HTTP/1.0", CHUNKED, body=b"0\r\n\r\n"), INVALID),
    **{
        f"coding {coding.decode()!r}": (
            framed(POST, HOST, b"Transfer-Encoding: " + coding, body=b"0\r\n\r\n"),
            "unknown_transfer_coding",
        )
        for coding in (
            b"gzip",
            b"gzip, chunked",
            b"chunked, chunked",
            b"identity",
            b"xchunked",
            b"",
        )
    },
    "chunked twice": (chunked(b"hello", fields=[CHUNKED]), "unknown_transfer_coding"),
    **{
        f"Expect: {what.decode()}": (
            post(b"hello", b"Expect: " + what),
            "expectation_failed",
        )
        for what in (b"banana", b"100-continue, banana", b"100-continue-not")
    },
    "expects what is too large": (
        framed(POST, HOST, b"Content-Length: 1048577", b"Expect: 100-continue"),
        TOO_LARGE,
    ),
}
BAD_CHUNKS = {
    "size zz": b"zz\r\n",
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "no size, an extension": b";a\r\nhello\r\n0\r\n\r\n",
    "size 0x5": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size -5": b"-5\r\nhello\r\n0\r\n\r\n",
    "size +5": b"+5\r\nhello\r\n0\r\n\r\n",
    "size of 17 digits": b"00000000000000005\r\nhello\r\n0\r\n\r\n",
    "last size of 17 digits": b"5\r\nhello\r\n00000000000000000\r\n\r\n",
    "size of 21 digits": b"%s5\r\nhello\r\n0\r\n\r\n" % (b"0" * 20),
    "blank before the size": b" 5\r\nhello\r\n0\r\n\r\n",
    "blank behind the size": b"5 \r\nhello\r\n0\r\n\r\n",
    "tab behind the size": b"5\t\r\nhello\r\n0\r\n\r\n",
    "blank before an extension": b"5 ;a\r\nhello\r\n0\r\n\r\n",
    "blank behind the last size": b"5\r\nhello\r\n0 \r\n\r\n",
    "bare LF behind the size": b"5\nhello\r\n0\r\n\r\n",
    "bare CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "bare LF in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "bare CR in the last extension": b"5\r\nhello\r\n0;a\rb\r\n\r\n",
    "NUL in an extension": b"5;a\0b\r\nhello\r\n0\r\n\r\n",
    "chunk too short": b"5\r\nhell\r\n0\r\n\r\n",
    "chunk too long": b"5\r\nhelloo\r\n0\r\n\r\n",
    "no line end behind a chunk": b"5\r\nhello0\r\n\r\n",
    "LF for CRLF behind a chunk": b"5\r\nhello\n0\r\n\r\n",
    "CR alone behind a chunk": b"5\r\nhello\r5\r\nhello\r\n0\r\n\r\n",
    "trailer without a colon": b"0\r\nnonsense\r\n\r\n",
    "trailer without a name": b"0\r\n: a\r\n\r\n",
    "trailer, blank before the colon": b"0\r\na : b\r\n\r\n",
    "trailer, folded": b"0\r\na: b\r\n c\r\n\r\n",
    "trailer, bare LF": b"0\r\na: b\nc: d\r\n\r\n",
    "trailer, LF at the end": b"0\r\na: b\r\n\n",
    "LF for the last CRLF": b"0\r\n\n",
    "trailer, bare CR": b"0\r\na: b\rc\r\n\r\n",
    "trailer, NUL": b"0\r\na: b\0c\r\n\r\n",
}
BAD |= {
    f"chunked, {name}": (framed(POST, HOST, CHUNKED, body=body), INVALID)
    for name, body in BAD_CHUNKS.items()
}


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD)
def test_a_bad_request_is_refused_in_any_splits(bad: bytes, reason: str) -> None:
    for pieces in splits(bad):
        outcome = read(pieces)
        assert (outcome.requests, outcome.reason) == ([], reason)


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD)
def test_what_follows_a_bad_request_is_never_read(bad: bytes, reason: str) -> None:
    for pieces in splits(NEXT + bad + NEXT):
        outcome = read(pieces)
        assert (outcome.paths, outcome.reason) == ([b"/next"], reason)


EARLY = {  # up to the byte with which it is clear that no further one can help
    "TLS": TLS_HELLO[:1],
    "SOCKS 4": b"\x04",
    "hello": b"hello\r\n",
    "HTTP/0.9": b"GET /\r\n",
    "HTTP/0.9, LF": b"GET /\n",
    "HTTP/1.10": b"GET / HTTP/1.10\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "SMTP": b"EHLO test\r\n",
    "Redis": b"*1\r\n",
    "HTTP/2 preface": HTTP_2_PREFACE[:18],
    "CR alone": b"\rG",
    "bare CR": b"GET / HTTP/1.1\r\nX: a\rb",
    "folded": b"GET / HTTP/1.1\r\nX: a\r\n ",
    "NUL": b"GET / HTTP/1.1\r\nX: a\0",
    "chunk of no size": framed(POST, HOST, CHUNKED, body=b"zz\r\n"),
    "chunk too long": framed(POST, HOST, CHUNKED, body=b"1\r\nab"),
    "length too large": framed(POST, HOST, b"Content-Length: 1048577"),
}


@pytest.mark.parametrize("data", EARLY.values(), ids=EARLY)
def test_what_cannot_become_right_is_refused_at_once(data: bytes) -> None:
    for before in (b"", NEXT):
        outcome = read(byte_by_byte(before + data + NEXT))
        assert len(outcome.requests) == bool(before)
        assert outcome.reason is not None
        assert outcome.fed == len(before + data)


# What the connection asks


CONTINUES = {  # how often 100 Continue is due
    "after the head": ([post(b"hello", b"Expect: 100-continue")[:-5], b"he", b"llo"], 1),
    "before the first chunk": (
        [*byte_by_byte(chunked(b"hi", fields=[b"Expect: 100-continue"]))],
        1,
    ),
    "not for a body that is there": ([post(b"hello", b"Expect: 100-continue")], 0),
    "not for a body that has begun": (
        [post(b"hello", b"Expect: 100-continue")[:-3], b"l", b"lo"],
        0,
    ),
    "not for no body": ([*byte_by_byte(post(b"", b"Expect: 100-continue"))], 0),
    "not to HTTP/1.0": (
        [framed(b"POST / HTTP/1.0", b"Content-Length: 1", b"Expect: 100-continue"), b"x"],
        0,
    ),
    "not unasked": ([post(b"hello")[:-5], b"hello"], 0),
    "for each that asks": ([*byte_by_byte(post(b"hello", b"Expect: 100-continue") * 3)], 3),
}


@pytest.mark.parametrize(("pieces", "times"), CONTINUES.values(), ids=CONTINUES)
def test_continue_is_due_once_and_only_where_it_is_waited_for(
    pieces: list[bytes], times: int
) -> None:
    outcome = read(pieces)
    assert outcome.reason is None
    assert outcome.requests
    assert outcome.continues == times


def test_continue_is_not_due_for_what_is_refused() -> None:
    data = framed(POST, HOST, b"Content-Length: 1048577", b"Expect: 100-continue")
    assert read(byte_by_byte(data)).continues == 0


PHASES = {
    "nothing": (b"", Phase.IDLE),
    "empty lines": (b"\r\n\r\n", Phase.IDLE),
    "half an empty line": (b"\r\n\r", Phase.HEAD),
    "one byte": (b"P", Phase.HEAD),
    "a head but for its last byte": (post(b"hello")[:-6], Phase.HEAD),
    "a head": (post(b"hello")[:-5], Phase.BODY),
    "a request but for its last byte": (post(b"hello")[:-1], Phase.BODY),
    "a request": (post(b"hello"), Phase.IDLE),
    "a request in chunks, but for its last byte": (chunked(b"hello")[:-1], Phase.BODY),
    "a request in chunks": (chunked(b"hello"), Phase.IDLE),
    "a request and a byte": (chunked(b"hello") + b"P", Phase.HEAD),
}


@pytest.mark.parametrize(("data", "phase"), PHASES.values(), ids=PHASES)
def test_phase(data: bytes, phase: Phase) -> None:
    reader = RequestReader()
    read(byte_by_byte(data), reader=reader)
    assert reader.phase is phase
    assert (reader.phase is Phase.IDLE) <= (reader.buffered_bytes == 0)


def test_what_is_buffered() -> None:
    reader = RequestReader()
    reader.feed(NEXT + b"1234")
    assert reader.buffered_bytes == len(NEXT) + 4
    assert reader.next_request()
    assert reader.buffered_bytes == 4
    assert not reader.at_eof
    reader.feed(b"")
    assert reader.at_eof


# Remembered heads


def test_a_head_is_remembered_on_second_sight_and_the_oldest_leaves() -> None:
    raws = [framed(b"GET /%d HTTP/1.1" % number, HOST) for number in range(4)]
    memory = HeadMemory(size=3)
    for times, raw in enumerate([raws[0]] * 2 + [raws[1]] * 2 + [raws[2]] * 2):
        assert memory.recall(raw) is None
        head = parse_head(raw)
        memory.consider(raw, head)
        assert memory.recall(raw) == (head if times % 2 else None)
    for _ in range(2):
        memory.consider(raws[3], parse_head(raws[3]))
    assert [memory.recall(raw) is not None for raw in raws] == [False, True, True, True]


def test_heads_that_come_once_do_not_push_out_the_regulars() -> None:
    memory = HeadMemory(size=3)
    head = parse_head(NEXT)
    for _ in range(2):
        memory.consider(NEXT, head)
    for number in range(100):
        memory.consider(framed(b"GET /%d HTTP/1.1" % number, HOST), head)
    assert memory.recall(NEXT) is head
    assert memory.recall(framed(b"GET /99 HTTP/1.1", HOST)) is None


@pytest.mark.parametrize("at_a_time", [1, 2], ids=["head and body apart", "two at a time"])
def test_heads_that_differ_in_a_request_id_do_not_push_out_the_regulars(at_a_time: int) -> None:
    memory = HeadMemory(size=3)
    reader = RequestReader(heads=memory)
    regular = post(b"12345")
    for _ in range(2):
        assert reader.receive(regular)
    assert memory.recall(regular[:-5])
    for number in range(10):
        ids = [b"X-Request-Id: %d" % (2 * number + further) for further in range(at_a_time)]
        data = b"".join(post(b"12345", id_) for id_ in ids)
        if at_a_time == 1:
            assert reader.receive(data[:-5]) is None
            assert reader.receive(data[-5:])
        else:
            assert reader.receive(data)
            assert reader.next_request()
        assert memory.recall(regular[:-5])


@pytest.mark.parametrize(
    "raw",
    [
        framed(POST, HOST, CHUNKED),
        framed(POST, HOST, b"Content-Length: 1", b"Expect: 100-continue"),
        framed(POST, HOST, b"Upgrade: websocket"),
        framed(b"POST / HTTP/1.0"),
    ],
    ids=["chunked", "expect", "upgrade", "1.0"],
)
def test_a_head_that_asks_for_more_is_not_remembered(raw: bytes) -> None:
    memory = HeadMemory()
    for _ in range(3):
        memory.consider(raw, parse_head(raw))
    assert memory.recall(raw) is None


def post_with(*fields: bytes) -> bytes:
    return framed(POST, *fields[:1], HOST, *fields[1:], b"Content-Length: 5")


def taught(*raws: bytes) -> HeadMemory:
    memory = HeadMemory()
    for raw in raws:
        memory.consider(raw, parse_head(raw))
    return memory


ASIDES = {
    "none": [],
    "another": [b"X-Request-Id: 3"],
    "two": [b"X-Request-Id: 3", b"user-agent: \t(a; b) \xe9 "],
    "empty": [b"Cookie:"],
    "a name that only begins like one": [b"Hostess: a", b"Upgrade-Insecure-Requests: 1"],
    "as many as may be": [b"X-%d: 1" % number for number in range(98)],
}


@pytest.mark.parametrize("fields", ASIDES.values(), ids=ASIDES)
def test_a_head_is_known_whatever_its_asides_say(
    fields: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = taught(post_with(b"X-Request-Id: 1"), post_with(b"X-Request-Id: 2"))
    raw = post_with(*fields)
    head = memory.recall(raw)
    assert head == parse_head(raw)
    assert memory.recall(raw) is head
    monkeypatch.setattr(heads, "_ASIDE", None)
    assert memory.recall(raw) is head  # now by its own bytes


NO_ASIDES = {
    "one too many": [b"X-%d: 1" % number for number in range(99)],
    "another host": [b"Host: b"],
    "the same host": [HOST],
    "another length": [b"content-length: 4"],
    "the same length": [b"Content-Length: 5"],
    "chunks": [CHUNKED],
    "the end": [b"CONNECTION: close"],
    "a question": [b"Expect: 100-continue"],
    "another protocol": [b"Upgrade: h2c"],
    "a blank before the colon": [b"X-Request-Id : 3"],
    "a folded line": [b"X-Request-Id: 3", b" 4"],
    "a folded line, the first": [b" 4"],
    "a bare LF": [b"X-Request-Id: 3\nContent-Length: 9"],
    "a bare CR": [b"X-Request-Id: 3\rContent-Length: 9"],
    "a NUL": [b"X-Request-Id: \x00"],
    "a DEL": [b"X-Request-Id: \x7f"],
    "no name": [b": 3"],
    "no colon": [b"X-Request-Id"],
    "a name that is no token": [b"X-R\xe9quest: 3"],
}


@pytest.mark.parametrize("fields", NO_ASIDES.values(), ids=NO_ASIDES)
def test_a_head_is_not_known_if_it_says_more(fields: list[bytes]) -> None:
    memory = taught(post_with(), post_with())
    assert memory.recall(post_with()) is not None
    assert memory.recall(post_with(*fields)) is None


def test_only_asides_may_be_long() -> None:
    cookie = b"Cookie: " + b"c" * 5000
    memory = taught(post_with(cookie), post_with(cookie))
    assert memory.recall(post_with(cookie)) is memory.recall(post_with()) is not None
    assert max(map(len, memory._heads)) < 100
    path = framed(b"GET /%b HTTP/1.1" % (b"p" * 5000), HOST)
    assert taught(path, path, path).recall(path) is None


def test_a_field_before_the_request_line_is_no_aside() -> None:
    memory = taught(post_with(), post_with())
    assert memory.recall(b"X-Request-Id: 3\r\n" + post_with()) is None
