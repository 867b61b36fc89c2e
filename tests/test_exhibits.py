"""The header-case bug of the source, kept alive in ``docs/exhibits/naive_parser.py``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from clients.loads import LOADS
from docs.exhibits.naive_parser import fixed_body, naive_body
from trio_stages.events import InvalidEvent, parse_event
from trio_stages.framing import RequestReader

if TYPE_CHECKING:
    from collections.abc import Callable

    FindBody = Callable[[bytes], tuple[bytes, bytes]]

LOAD = LOADS[7]  # the source's client: 5,000 requests, 20 users
BODIES = LOAD.bodies()
AS_CURL, AS_REQWEST = "Content-Length: ", "content-length: "


def requests(length_field: str) -> list[bytes]:
    """The load, with the length of each body behind this name, colon and blank."""
    return [
        f"POST / HTTP/1.1\r\nhost: exhibit\r\n{length_field}{len(body)}\r\n\r\n".encode() + body
        for body in (BODIES[number % LOAD.users] for number in range(LOAD.requests))
    ]


def verdicts(find_body: FindBody, length_field: str) -> Counter[str]:
    """What a server with this parser would answer to the load."""
    return Counter(verdict(find_body(request)[0]) for request in requests(length_field))


def verdict(body: bytes) -> str:
    try:
        parse_event(body)
    except InvalidEvent:
        return "invalid_json"
    return "accepted"


def body_by_framing(request: bytes) -> tuple[bytes, bytes]:
    """The body as the stages find it."""
    reader = RequestReader()
    reader.feed(request)
    found = reader.next_request()
    assert found is not None
    assert reader.buffered_bytes == 0
    return found.body, b""


def test_the_naive_parser_refuses_every_event_with_a_lower_case_header() -> None:
    assert verdicts(naive_body, AS_REQWEST) == {"invalid_json": 5000}


def test_the_naive_parser_looks_right_as_long_as_curl_is_asked() -> None:
    """Which is why nobody noticed."""
    assert verdicts(naive_body, AS_CURL) == {"accepted": 5000}


@pytest.mark.parametrize("find_body", [fixed_body, body_by_framing])
@pytest.mark.parametrize(
    "length_field",
    [AS_CURL, AS_REQWEST, "CONTENT-LENGTH: ", "content-length:", "cOntent-lengTh:\t"],
)
def test_the_fixed_parser_and_ours_accept_every_spelling(
    find_body: FindBody, length_field: str
) -> None:
    assert verdicts(find_body, length_field) == {"accepted": 5000}


@pytest.mark.parametrize(("find_body", "left"), [(naive_body, True), (fixed_body, False)])
def test_what_the_naive_parser_leaves_would_be_the_next_request(
    find_body: FindBody, left: bool
) -> None:
    """On a connection that is kept open the mistake does not even stay in its own request."""
    _, rest = find_body(requests(AS_REQWEST)[0])
    assert rest == (BODIES[0] if left else b"")


def test_one_connection_carries_the_whole_load_in_lower_case() -> None:
    """Pipelined, so that each request starts where the one before it ended."""
    reader = RequestReader()
    reader.feed(b"".join(requests(AS_REQWEST)))
    answers: Counter[str] = Counter()
    while (request := reader.next_request()) is not None:
        answers[verdict(request.body)] += 1
    assert answers == {"accepted": 5000}
    assert reader.buffered_bytes == 0
