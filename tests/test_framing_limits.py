"""The framing's limits, each to the byte, and its cost, which grows as what is sent, no faster."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

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

from trio_stages.framing import Phase, RequestReader
from trio_stages.heads import HeadMemory, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

TOO_LARGE = "payload_too_large"

# Limits


def head_of(size: int, *fields: bytes) -> bytes:
    """A GET with a head of exactly so many bytes."""
    lines = (b"GET /next HTTP/1.1", HOST, *fields)
    return framed(*lines, b"X: " + b"x" * (size - len(framed(*lines, b"X: "))))


@pytest.mark.parametrize("limit", [16_384, 200])
def test_the_longest_head(limit: int) -> None:
    for size, requests, reason in (
        (limit - 1, 2, None),
        (limit, 2, None),
        (limit + 1, 0, "headers_too_large"),
        (limit + 2, 0, "headers_too_large"),
        (3 * limit, 0, "headers_too_large"),
    ):
        data = head_of(size)
        assert len(data) == size
        for pieces in splits(data + NEXT):
            outcome = read(pieces, reader=RequestReader(max_header_bytes=limit))
            assert (len(outcome.requests), outcome.reason) == (requests, reason)


def test_a_head_that_is_too_long_is_too_long_whether_or_not_the_client_sends_on() -> None:
    """As it comes where nobody looks at it before the end: while another request is answered."""
    reader = RequestReader(max_header_bytes=200)
    reader.feed(head_of(300)[:250])
    reader.feed(b"")
    with pytest.raises(Refused, match="headers_too_large"):
        reader.next_request()


def test_a_head_without_end_is_refused_with_the_first_byte_too_many() -> None:
    outcome = read(byte_by_byte(head_of(20_000)))
    assert (outcome.reason, outcome.fed) == ("headers_too_large", 16_385)


@pytest.mark.parametrize(("before", "reason"), [(199, "invalid_http"), (200, "headers_too_large")])
def test_what_is_beyond_the_limit_is_not_looked_at(before: int, reason: str) -> None:
    for pieces in splits(head_of(400)[:before] + b"\0" + NEXT):
        assert read(pieces, reader=RequestReader(max_header_bytes=200)).reason == reason


@pytest.mark.parametrize(("fields", "reason"), [(100, None), (101, "headers_too_large")])
@pytest.mark.parametrize("line", [b"X: x", b"Content-Length: 0"])
def test_the_most_fields(fields: int, reason: str | None, line: bytes) -> None:
    data = framed(POST, HOST, *[line] * (fields - 1))
    for pieces in splits(data + NEXT):
        outcome = read(pieces)
        assert (len(outcome.requests), outcome.reason) == (2 if reason is None else 0, reason)


BODIES: dict[str, Callable[[bytes], bytes]] = {
    "length": post,
    "one chunk": chunked,
    "chunks of seven": lambda body: chunked(*cut(body, range(7, len(body), 7))),
    "chunks of one byte": lambda body: chunked(*byte_by_byte(body)),
}


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
def test_the_longest_body(make: Callable[[bytes], bytes], limit: int) -> None:
    for size, reason in ((limit, None), (limit + 1, TOO_LARGE), (3 * limit + 1, TOO_LARGE)):
        body = b"x" * size
        for pieces in splits(make(body) + NEXT):
            outcome = read(pieces, reader=RequestReader(max_body_bytes=limit))
            assert outcome.reason == reason
            assert outcome.bodies == ([body, b""] if reason is None else [])


def test_the_longest_body_by_default() -> None:
    for size, reason in ((1_048_576, None), (1_048_577, TOO_LARGE)):
        for data in (post(b"x" * size), chunked(b"x" * 999_999, b"x" * (size - 999_999))):
            assert read(cut(data, range(0, len(data), 65_536))).reason == reason


LONG_CHUNKS = {
    "an extension": b"1;" + b"x" * 500,
    "extensions": b"1;%s\r\nx\r\n" % (b"x" * 50) * 8,
    "trailers": b"0\r\n" + b"a: b\r\n" * 100,
    "trailers that end": b"0\r\n" + b"a: b\r\n" * 100 + b"\r\n",
    "something wrong in the end": b"0\r\n" + b"a: b\r\n" * 100 + b"\0\r\n\r\n",
}


@pytest.mark.parametrize("body", LONG_CHUNKS.values(), ids=LONG_CHUNKS)
def test_chunking_is_bounded_whatever_it_is_made_of(body: bytes) -> None:
    head = framed(POST, HOST, CHUNKED)
    limited = partial(RequestReader, max_header_bytes=100, max_body_bytes=10)
    for pieces in splits(head + body):
        assert read(pieces, reader=limited()).reason == TOO_LARGE
    # a line as long as a head, or eight bytes for each of the body, and trailers as long as a head
    outcome = read(byte_by_byte(head + body), reader=limited())
    most = 100 if b"\n" not in body else 8 * 10 + 100
    assert outcome.fed == len(head) + most + 1


def test_what_follows_a_chunked_body_does_not_count() -> None:
    for pieces in splits(chunked(b"hello") + NEXT * 20):
        outcome = read(pieces, reader=RequestReader(max_header_bytes=100, max_body_bytes=10))
        assert (len(outcome.requests), outcome.reason) == (21, None)


def test_empty_lines_are_not_kept() -> None:
    reader = RequestReader()
    for _ in range(100):
        assert read([b"\r\n" * 1000], reader=reader).requests == []
        assert reader.buffered_bytes == 0
        assert reader.phase is Phase.IDLE
    assert read([NEXT], reader=reader).paths == [b"/next"]


# Cost


def cost_s(data: bytes, piece_bytes: int) -> float:
    """CPU seconds to read ``data`` in pieces; the best of three."""
    best = float("inf")
    for _ in range(3):
        reader = RequestReader(max_header_bytes=len(data), max_body_bytes=len(data))
        pieces = list(cut(data, range(0, len(data), piece_bytes)))
        started = time.thread_time()
        outcome = read(pieces, reader=reader)
        best = min(best, time.thread_time() - started)
        assert outcome.reason is None
    return best


LONG_LINE = b"GET /%s HTTP/1.1"
# What is read (of about eight bytes a unit), the lesser number of units, and the size of a piece.
COSTS: dict[str, tuple[Callable[[int], bytes], int, int]] = {
    "long request line, short fields, byte by byte": (
        lambda n: framed(LONG_LINE % (b"x" * 4 * n), HOST, *[b"a:"] * min(n, 90)),
        500,
        1,
    ),
    "lines that never end the head, byte by byte": (
        lambda n: framed(LONG_LINE % (b"x" * 4 * n), HOST)[:-2] + b"a:\r\n" * n,
        1000,
        1,
    ),
    "CR LF CR, byte by byte": (lambda n: b"\r\n" * 4 * n + b"\r", 500, 1),
    "empty lines, whole": (lambda n: b"\r\n" * 4 * n, 10_000, 65_536),
    "body, byte by byte": (lambda n: post(b"x" * 8 * n), 500, 1),
    "body, in pieces": (lambda n: post(b"x" * 8 * n), 131_072, 256),
    "one chunk, byte by byte": (lambda n: chunked(b"x" * 8 * n), 150, 1),
    "small chunks, whole": (lambda n: chunked(*[b"x"] * n), 1000, 65_536),
    "small chunks, byte by byte": (lambda n: chunked(*[b"x"] * n), 300, 1),
    "an extension, in pieces": (
        lambda n: framed(POST, HOST, CHUNKED, body=b"1;%s\r\nx\r\n0\r\n\r\n" % (b"e" * 8 * n)),
        16_000,
        16,
    ),
    "trailers, byte by byte": (lambda n: chunked(b"x", trailers=b"a: bcd\r\n" * n), 300, 1),
    "pipelined, whole": (lambda n: NEXT * n, 1000, 1 << 20),
}


@pytest.mark.untraced
@pytest.mark.parametrize(("make", "units", "piece_bytes"), COSTS.values(), ids=COSTS)
def test_cost_is_linear(make: Callable[[int], bytes], units: int, piece_bytes: int) -> None:
    ratio = cost_s(make(8 * units), piece_bytes) / cost_s(make(units), piece_bytes)
    assert ratio < 20, "eight times the input should cost eight times as much, not 64 times"


def test_a_remembered_head_is_held_to_the_limit_of_its_own_reader() -> None:
    """The memory is shared, and whoever else has taught it the head may allow longer ones."""
    heads = HeadMemory()
    data = framed(b"GET / HTTP/1.1", HOST)
    for _ in range(3):
        generous = RequestReader(heads=heads)
        assert generous.receive(data) is not None
    assert heads.recall(data) is not None
    strict = RequestReader(max_header_bytes=len(data) - 1, heads=heads)
    with pytest.raises(Refused) as refused:
        strict.receive(data)
    assert refused.value.reply.status == 431
