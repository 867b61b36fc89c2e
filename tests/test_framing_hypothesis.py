"""The framing against all bytes: in any splits the same, and never more lenient than h11."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support_http import CHUNKED, HOST, NEXT, POST, byte_by_byte, cut, framed, read

from fuzz import targets
from trio_stages.framing import RequestReader
from trio_stages.heads import HeadMemory, parse_head

pytestmark = pytest.mark.untraced

# Bytes that are nearly HTTP: what random ones would never come to.
SCRAPS = (
    *(b"GET / HTTP/1.1\r\n", b"POST /a?b HTTP/1.1\r\n", b"POST / HTTP/1.0\r\n", b"Host: a\r\n"),
    *(b"X: y\r\n", b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"Expect: x\r\n"),
    *(b"Content-Length: 3\r\n", b"Content-Length: 99\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(NEXT, b"abc", b"3\r\nabc\r\n", b"0\r\n\r\n", b"1;a=b\r\nx\r\n", b"0\r\na: b\r\n\r\n"),
    *(b"\r\n\r\n", b"\r\n", b"\r", b"\n", b" ", b"\t", b":", b";", b"0", b"\0", b"\x80"),
)
soup = st.lists(st.sampled_from(SCRAPS), max_size=12).map(b"".join)
anything = st.lists(soup | st.binary(max_size=20), max_size=3).map(b"".join)
offsets = st.lists(st.integers(0, 150), max_size=10)
limited = partial(RequestReader, max_header_bytes=70, max_body_bytes=4)


@given(anything, offsets, st.booleans())
@example(b"GET /\n" + b"x" * 80 + b"\r\n\r\n", [], False)  # both wrong and too long
@example(framed(POST, HOST, CHUNKED, body=b"3;%s\r\nabc\r\n0\r\n\r\n" % (b"e" * 70)), [], False)
@example(framed(POST, HOST, CHUNKED, body=b"3\r\nabc\r\n0\r\n\r\n"), [58], False)
def test_any_bytes_in_any_splits_have_one_fate(data: bytes, cuts: list[int], eof: bool) -> None:
    end = [b""] * eof
    whole = read([*cut(data, []), *end], reader=limited())
    for pieces in (cut(data, cuts), byte_by_byte(data)):
        split = read([*pieces, *end], reader=limited())
        assert (split.requests, split.reason) == (whole.requests, whole.reason)


def texts(alphabet: str, min_size: int = 0) -> st.SearchStrategy[bytes]:
    return st.text(alphabet, min_size=min_size, max_size=8).map(lambda text: text.encode("latin-1"))


token = texts("!#$%&'*+-.^_`|~09azAZ", min_size=1)
field = st.tuples(token, texts('!"(),/:;<=>?@[\\]{} \taz\x80\xff')).map(lambda f: b"X-%s: %s" % f)
extension = st.just(b"") | texts('=" \taz\x80').map(lambda text: b";" + text)
body = st.binary(max_size=30) | st.just(NEXT)


@dataclass(frozen=True)
class Sent:
    """A valid request, and what should come out."""

    data: bytes
    method: bytes
    path: bytes
    body: bytes


@st.composite
def valid_requests(draw: st.DrawFn) -> Sent:
    empty = draw(st.sampled_from([b"", b"\r\n", b"\r\n\r\n"]))
    origin = draw(st.sampled_from([b"", b"http://test", b"HTTP://test:80"]))
    query = draw(st.just(b"") | token.map(lambda text: b"?" + text))
    method, path = draw(token), b"/" + draw(token)
    line = empty + b"%s %s%s%s HTTP/1.1" % (method, origin, path, query)
    lines = [line, HOST, *draw(st.lists(field, max_size=3))]
    if draw(st.booleans()):
        content = draw(body)
        data = framed(*lines, b"Content-Length: %d" % len(content), body=content)
    else:
        chunks = draw(st.lists(body.filter(bool), max_size=3))
        wire = [b"%x%s\r\n%s\r\n" % (len(chunk), draw(extension), chunk) for chunk in chunks]
        trailers = [line + b"\r\n" for line in draw(st.lists(field, max_size=2))]
        wire += [b"0", draw(extension), b"\r\n", *trailers, b"\r\n"]
        content = b"".join(chunks)
        data = framed(*lines, CHUNKED, body=b"".join(wire))
    return Sent(data, method, path, content)


@given(st.lists(valid_requests(), min_size=1, max_size=4), st.data())
def test_a_pipeline_comes_out_as_it_was_sent(pipeline: list[Sent], data: st.DataObject) -> None:
    wire = b"".join(sent.data for sent in pipeline)
    cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=10))
    for pieces in ([wire], cut(wire, cuts), byte_by_byte(wire)):
        outcome = read(pieces)
        assert outcome.reason is None
        assert [
            (request.head.method, request.head.path, request.body) for request in outcome.requests
        ] == [(sent.method, sent.path, sent.body) for sent in pipeline]


def h11_reads(data: bytes) -> tuple[bytes, bytes]:
    """The body of the first request in ``data`` and what is behind it, as plain h11 has it."""
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(data)
    content = b""
    while not isinstance(event := reader.next_event(), h11.EndOfMessage):
        if isinstance(event, h11.Data):
            content += event.data
        else:
            assert isinstance(event, h11.Request)
    return content, reader.trailing_data[0]


chunk = st.sampled_from([b"3\r\nxyz\r\n", b"1;e=f\r\nx\r\n", b"002\r\n\r\n\r\n"])
last_chunk = st.sampled_from([b"0\r\n\r\n", b"00;e\r\n\r\n", b"0\r\nt: u\r\nv: w\r\n\r\n"])
chunks = st.tuples(st.lists(chunk, max_size=3).map(b"".join), last_chunk).map(b"".join)
sabotage = st.sampled_from([b"", b"\r", b"\n", b"\r\n", b" ", b"0", b"1", b";", b":", b"x", b"\0"])


@given(chunks, st.integers(0, 40), st.integers(0, 2), sabotage, offsets)
def test_what_our_chunks_accept_h11_accepts(
    wire: bytes, at: int, replaced: int, by: bytes, cuts: list[int]
) -> None:
    data = framed(POST, HOST, CHUNKED, body=wire[:at] + by + wire[at + replaced :])
    outcome = read(cut(data, cuts))
    if not outcome.requests:
        return
    content, rest = h11_reads(data)
    assert outcome.requests[0].body == content
    # and to the same byte: where h11 sees the next request begin, so do we
    end = len(data) - len(rest)
    assert read([data[:end]]).requests == outcome.requests[:1]
    assert read([data[: end - 1]]).requests == []


# Fields, and what is nearly one.
LINES = (
    *(b"X-Id: 7", b"x:", b"Hostess: a", b"X : 7", b"X", b": 7", b" 7", b"\tX: 7", b"", b"X: 7 \t"),
    *(b"Host: b", b"host:a", b"Content-Length: 9", b"content-length: 3", b"CONNECTION: close"),
    *(b"Connection: keep-alive", CHUNKED, b"Transfer-Encoding : chunked", b"Upgrade: h2c"),
    *(b"Expect: 100-continue", b"X: \0", b"X: \x7f", b"X: \xe9", b"X\xe9: 7", b"X: 7\r", b"X: \n7"),
    *(b"X: 7\nContent-Length: 9", b"X: 7\rContent-Length: 9", b"X: Host: b", b"Te: trailers"),
    *(POST, b"GET / HTTP/1.1", b"POST / HTTP/1.0", b"X: HTTP/1.1", b"X-Many: 7\r\n" * 60 + b"Y: 8"),
)
line = st.sampled_from(LINES) | st.binary(max_size=10)
PLAIN = [POST, HOST, b"Content-Length: 3"]


@given(st.lists(st.tuples(st.integers(0, 3), line), max_size=4), offsets)
def test_who_knows_a_head_reads_it_with_any_other_lines_as_h11_does(
    more: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    """``wire`` is a head that is remembered, with lines put in anywhere: the same to the byte."""
    lines = PLAIN.copy()
    for at, extra in more:
        lines.insert(at, extra)
    wire = framed(*lines, body=b"abc") + NEXT
    knowing, plain = HeadMemory(), framed(*PLAIN)
    for _ in range(2):
        knowing.consider(plain, parse_head(plain))
    for pieces in ([wire], [*cut(wire, cuts)]):
        asking = HeadMemory(size=0)
        assert targets.read(pieces, knowing, {}) == targets.read(pieces, asking, {})
