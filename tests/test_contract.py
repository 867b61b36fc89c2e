"""What anyone can see from outside, stage by stage: the contract's tables against real servers.

One process a stage answers all of its rows; an event of its own for each row keeps them apart.
"""

from __future__ import annotations

import itertools
import json
import signal
import socket
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from support import PATIENCE_S, Process, Response, event, exchange, request, spawned

from trio_stages.ladder import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCEPTED: dict[str, object] = {"status": "accepted"}
#: The reply to a good event of amount 100 by a new user.
GOOD: dict[int, tuple[int, dict[str, object]]] = {
    3: (200, ACCEPTED),
    4: (200, ACCEPTED | {"balance": 100}),
    **dict.fromkeys(range(5, 11), (202, ACCEPTED)),
}
#: Short enough not to be waited for.
OPTIONS: dict[int, tuple[str, ...]] = {
    **dict.fromkeys((4, 5, 6), ("--work-ms", "1")),
    **dict.fromkeys((7, 8, 9, 10), ("--work-ms", "1", "--hold-ms", "0.5")),
}
COUNTERS = (
    *("received", "accepted", "rejected", "invalid", "http_errors"),
    *("processed", "failed", "abandoned", "queued", "waiting", "in_hand"),
)
STATS = {
    *("stage", "config", "uptime_s", *COUNTERS, "capacity", "workers"),
    *("connections", "connections_refused", "draining"),
}
STATS_FROM = {5: {"queue_delay_ms", "drain_rate_per_s"}, 7: {"lock"}}

user_names = (f"user{number}" for number in itertools.count())


@dataclass
class Subject:
    """A stage that runs in a process of its own."""

    stage: int
    process: Process
    accepted: dict[str, int] = field(default_factory=dict)

    def exchange(self, *requests: bytes, heads: int = 0) -> list[Response]:
        responses = exchange(self.process.port, b"".join(requests), heads=heads)
        for response in responses:
            check_fields(response)
        return responses

    def get(self, path: str) -> Response:
        (response,) = self.exchange(request("GET", path, b"", close=True))
        return response

    def good(self) -> bytes:
        """A good event by a new user, and the wish to close; its reply is checked by ``answer``."""
        return request(body=event(next(user_names)), close=True)

    def check_good(self, response: Response) -> None:
        assert (response.status, response.json) == GOOD[self.stage]

    def settled_stats(self) -> dict[str, Any]:
        """``/stats`` as soon as nothing is outstanding."""
        patience = time.monotonic() + PATIENCE_S
        while True:
            stats: dict[str, Any] = self.get("/stats").json
            if not stats["queued"] and not stats["in_hand"]:
                return stats
            assert time.monotonic() < patience, stats


def check_fields(response: Response) -> None:
    """Content-Length (or the reply could not have been read), Content-Type and Date."""
    headers = response.headers
    assert headers["content-type"] in ("application/json", "application/octet-stream")
    sent_at = parsedate_to_datetime(headers["date"])
    assert headers["date"].endswith(" GMT")
    assert abs(sent_at.timestamp() - time.time()) < PATIENCE_S


def serving(stages: list[int]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("subject", stages, indirect=True, ids="stage{}".format)


ALL, ECHOING, VALIDATING = list(STAGES), [1, 2], [n for n in STAGES if n >= 3]
WITH_BALANCES = [n for n in STAGES if n >= 4]


@pytest.fixture(scope="module")
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    with spawned(request.param, *OPTIONS.get(request.param, ())) as process:
        yield Subject(request.param, process)


# Stages 1 and 2


@serving(ECHOING)
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/", b"hello"),
        ("PUT", "/any/path?and=query", b"\x00\xff\r\n\r\nGET"),
        ("GET", "/health", b""),
        ("DELETE", "/", b"x" * 100_000),
    ],
)
def test_the_body_comes_back(subject: Subject, method: str, path: str, body: bytes) -> None:
    (reply,) = subject.exchange(request(method, path, body, close=True))
    assert (reply.status, reply.body) == (200, body)
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["connection"] == "close"


@serving(ECHOING)
def test_a_head_has_no_body_even_there(subject: Subject) -> None:
    (reply,) = subject.exchange(request("HEAD", "/", b"hello", close=True), heads=1)
    assert (reply.status, reply.body) == (200, b"")


@serving(ECHOING)
def test_stage_1_answers_one_request_a_connection_and_stage_2_all(subject: Subject) -> None:
    one, two = request("POST", "/", b"one"), request("POST", "/", b"two", close=True)
    bodies = [reply.body for reply in subject.exchange(one, two)]
    assert bodies == ([b"one"] if subject.stage == 1 else [b"one", b"two"])


@serving(ALL)
@pytest.mark.parametrize("data", [b"hello\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n"])
def test_what_is_not_http_gets_400_and_a_close(subject: Subject, data: bytes) -> None:
    (reply,) = subject.exchange(data)
    assert (reply.status, reply.json) == (400, {"status": "error", "reason": "invalid_http"})
    assert reply.headers["connection"] == "close"


# From stage 3 on: each row is followed by a good event on the same connection


@serving(VALIDATING)
@pytest.mark.parametrize("path", ["/", "/events", "/events?source=test", "/?", "http://host/"])
def test_a_good_event(subject: Subject, path: str) -> None:
    reply, good = subject.exchange(request("POST", path, event(next(user_names))), subject.good())
    subject.check_good(reply)
    subject.check_good(good)
    assert "connection" not in reply.headers


@serving(VALIDATING)
@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json", "?!"]
)
def test_the_content_type_of_a_request_is_ignored(subject: Subject, content_type: str) -> None:
    body = event(next(user_names))
    typed = request("POST", "/", body, f"Content-Type: {content_type}", close=True)
    (reply,) = subject.exchange(typed)
    subject.check_good(reply)


@serving(VALIDATING)
@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", [""]),
        (b"SECRET", [""]),
        (b'{"user":"SECRET"', [""]),
        (b'["SECRET"]', [""]),
        (b"null", [""]),
        (b'"SECRET\xff"', [""]),
        (b"{}", ["user", "action", "amount"]),
        (b'{"user":"SECRET","action":"buy"}', ["amount"]),
        (b'{"user":"","action":"SECRET","amount":1}', ["user"]),
        (b'{"user":"u","action":"%s","amount":1}' % (b"SECRET" * 50), ["action"]),
        (b'{"user":1,"action":["SECRET"],"amount":1}', ["user", "action"]),
        *(
            (b'{"user":"SECRET","action":"buy","amount":%s}' % amount, ["amount"])
            for amount in (b'"100"', b"1.0", b"true", b"null", b"9223372036854775808", b"1e3")
        ),
    ],
)
def test_a_body_that_is_no_event(subject: Subject, body: bytes, fields: list[str]) -> None:
    bad, good = subject.exchange(request(body=body), subject.good())
    assert bad.status == 400
    detail = bad.json["detail"]
    assert bad.json == {"status": "error", "reason": "invalid_json", "detail": detail}
    assert [fault["field"] for fault in detail] == fields
    assert all(fault["message"] and fault.keys() == {"field", "message"} for fault in detail)
    assert b"SECRET" not in bad.body
    subject.check_good(good)


@serving(VALIDATING)
@pytest.mark.parametrize(
    ("method", "path", "status", "reason", "allow"),
    [
        ("GET", "/", 405, "method_not_allowed", "POST"),
        ("PUT", "/events", 405, "method_not_allowed", "POST"),
        ("DELETE", "/?x=1", 405, "method_not_allowed", "POST"),
        ("POST", "/health", 405, "method_not_allowed", "GET, HEAD"),
        ("PATCH", "/stats", 405, "method_not_allowed", "GET, HEAD"),
        ("GET", "/nowhere", 404, "not_found", None),
        ("POST", "/event", 404, "not_found", None),
        ("POST", "/events/", 404, "not_found", None),
        ("GET", "/balancesheet", 404, "not_found", None),
    ],
)
def test_a_request_for_something_else(
    subject: Subject, method: str, path: str, status: int, reason: str, allow: str | None
) -> None:
    wrong, good = subject.exchange(request(method, path), subject.good())
    assert (wrong.status, wrong.json) == (status, {"status": "error", "reason": reason})
    assert wrong.headers.get("allow") == allow
    subject.check_good(good)


@serving(VALIDATING)
def test_health(subject: Subject) -> None:
    for path in ("/health", "/health?deep=1"):
        reply = subject.get(path)
        assert (reply.status, reply.json) == (200, {"status": "ok"})


@serving(VALIDATING)
@pytest.mark.parametrize("path", ["/health", "/stats", "/balances", "/balances/nobody", "/"])
def test_head_is_get_without_the_body(subject: Subject, path: str) -> None:
    if subject.stage >= 4:
        subject.settled_stats()  # no balance is about to change
    head, get, good = subject.exchange(
        request("HEAD", path, b""), request("GET", path, b""), subject.good(), heads=1
    )
    assert (head.status, head.body) == (get.status, b"")
    # what /stats says, and how long that is, changes from one request to the next
    same = (
        ("content-type", "allow")
        if path == "/stats"
        else ("content-type", "allow", "content-length")
    )
    for name in same:
        assert head.headers.get(name) == get.headers.get(name)
    subject.check_good(good)


# Balances


@serving(WITH_BALANCES)
@pytest.mark.parametrize(
    "name", ["plain", "two words", "100%", "a/b", "Jürgen & Søn", "☃", "?x=1#y", "..", "%41", "+"]
)
def test_a_balance_by_its_users_percent_encoded_name(subject: Subject, name: str) -> None:
    user, path = f"{name} {next(user_names)}", "/balances/"
    subject.exchange(
        request(body=event(user, amount=2**63 - 1)), request(body=event(user, 5), close=True)
    )
    subject.settled_stats()
    balance = 2**63 + 4  # more than any one event may have
    reply = subject.get(path + quote(user, safe=""))
    assert (reply.status, reply.json) == (200, {"user": user, "balance": balance})
    assert subject.get(path + quote(user, safe="") + "?x=1").json == reply.json
    assert subject.get("/balances").json[user] == balance


@serving(WITH_BALANCES)
@pytest.mark.parametrize("path", ["/balances/nobody", "/balances/", "/balances/%ff", "/balances/%"])
def test_a_balance_of_nobody(subject: Subject, path: str) -> None:
    reply = subject.get(path)
    assert (reply.status, reply.json) == (404, {"status": "error", "reason": "not_found"})


@serving(VALIDATING)
@pytest.mark.parametrize(
    ("path", "first_stage"), [("/balances", 4), ("/balances/alice", 4), ("/metrics", 9)]
)
def test_what_a_later_stage_adds_is_not_there_before(
    subject: Subject, path: str, first_stage: int
) -> None:
    if subject.stage < first_stage:
        assert subject.get(path).json == {"status": "error", "reason": "not_found"}


@serving(WITH_BALANCES)
def test_asking_for_a_balance_opens_none(subject: Subject) -> None:
    before = subject.get("/balances").json
    subject.get("/balances/somebody-else")
    assert subject.get("/balances").json == before
    assert subject.get("/balances/somebody-else").status == 404


@serving(WITH_BALANCES)
def test_an_amount_may_be_negative(subject: Subject) -> None:
    user = next(user_names)
    subject.exchange(request(body=event(user, -(2**63)), close=True))
    subject.settled_stats()
    assert subject.get(f"/balances/{user}").json["balance"] == -(2**63)


@serving([4])
def test_stage_4_replies_with_the_new_balance(subject: Subject) -> None:
    user = next(user_names)
    one, two = subject.exchange(
        request(body=event(user, 30)), request(body=event(user, -50), close=True)
    )
    assert (one.json["balance"], two.json["balance"]) == (30, -20)


# Statistics


@serving(VALIDATING)
def test_stats_has_exactly_the_keys_of_the_contract(subject: Subject) -> None:
    stats = subject.get("/stats").json
    assert stats.keys() == STATS.union(
        *(keys for stage, keys in STATS_FROM.items() if subject.stage >= stage)
    )
    if subject.stage >= 5:
        assert stats["queue_delay_ms"].keys() == {"p50", "p99", "max"}
    if subject.stage >= 7:
        assert stats["lock"].keys() == {"acquisitions", "wait_ms", "hold_ms"}
        assert stats["lock"]["wait_ms"].keys() == {"p50", "p99", "max", "total"}
        assert stats["lock"]["hold_ms"].keys() == {"p50", "p99", "max", "total"}


CAPACITY = {5: 100, 6: 100, 7: 100, 8: 1000, 9: 1000, 10: 1000}
WORKERS = {5: 1, 6: 4, 7: 16, 8: 16, 9: 16, 10: 16}


@serving(VALIDATING)
def test_stats_says_what_is_in_force(subject: Subject) -> None:
    stats = subject.get("/stats").json
    config = stats["config"]
    assert stats["stage"] == subject.stage
    assert stats["capacity"] == CAPACITY.get(subject.stage, 0)
    assert stats["workers"] == WORKERS.get(subject.stage, 0)
    assert config["host"] == "127.0.0.1"
    assert config.get("work_ms") == (1.0 if subject.stage >= 4 else None)
    assert config.get("hold_ms") == (0.5 if subject.stage >= 7 else None)
    assert stats["connections"] == 1
    assert stats["draining"] is False
    assert stats["uptime_s"] > 0


@serving(VALIDATING)
@pytest.mark.parametrize(
    ("sent", "rises"),
    [
        (request(body=b"{}"), {"received", "invalid"}),
        (request("GET", "/nowhere", b""), {"http_errors"}),
        (request("GET", "/events", b""), {"http_errors"}),
        (request("GET", "/health", b""), set()),
        (b"hello\r\n\r\n", {"http_errors"}),
        (b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n{", {"http_errors"}),
        (None, {"received", "accepted", "processed"}),
    ],
    ids=["no event", "not found", "wrong method", "health", "not HTTP", "cut short", "event"],
)
def test_what_counts_as_what(subject: Subject, sent: bytes | None, rises: set[str]) -> None:
    before = subject.settled_stats()
    if sent is None:
        subject.exchange(subject.good())
    else:
        send_and_half_close(subject.process.port, sent)
    after = subject.settled_stats()
    assert {name for name in COUNTERS if after[name] != before[name]} == rises
    assert all(after[name] == before[name] + 1 for name in rises)


def send_and_half_close(port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65_536):
            pass


@serving(VALIDATING)
def test_the_books_add_up(subject: Subject) -> None:
    subject.exchange(subject.good())  # whatever other tests this server has had
    stats = subject.settled_stats()
    assert stats["received"] == stats["accepted"] + stats["rejected"] + stats["invalid"] > 0
    assert stats["accepted"] == stats["processed"] + stats["failed"] + stats["abandoned"]
    assert (stats["failed"], stats["abandoned"], stats["waiting"]) == (0, 0, 0)
    if subject.stage >= 7:  # every job took a lock, and so did whoever read a balance
        assert stats["lock"]["acquisitions"] >= stats["processed"]


# The process


@pytest.mark.parametrize("stage", ALL)
def test_two_lines_on_stdout(stage: int) -> None:
    with spawned(stage, *OPTIONS.get(stage, ())) as process:
        assert process.first_line == f"stage {stage} listening on http://127.0.0.1:{process.port}\n"
        good = request(body=event("alice", 30), close=True)
        for data in (good, good, request(body=b"{}", close=True), b"hello\r\n\r\n"):
            exchange(process.port, data)
        if stage >= 4:
            Subject(stage, process).settled_stats()
        ended = process.stop(signal.SIGTERM)
    assert ended.status == 0, ended.stderr
    assert len(ended.stdout) == 2
    assert json.loads(ended.stdout[1]).keys() == {"final"}
    final = ended.final
    only_here = {"balances_total", "processed_amount", *({"drained"} if stage == 10 else ())}
    assert final.keys() == STATS.union(*STATS_FROM.values(), only_here)
    nothing = dict.fromkeys(COUNTERS, 0)
    counted = {"received": 3, "accepted": 2, "processed": 2, "invalid": 1} if stage >= 3 else {}
    assert {name: final[name] for name in COUNTERS} == nothing | counted | {"http_errors": 1}
    assert final["balances_total"] == final["processed_amount"] == (60 if stage >= 4 else 0)
    assert final["connections"] == 0
    assert final["lock"]["acquisitions"] == (2 if stage >= 7 else 0)
