"""The measuring core: exact latencies on a virtual clock, and every request in one outcome."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from clients import flood
from clients.flood import Latency, LoadResult, Outcome, run_load
from clients.http import NoReply, Target
from clients.loads import LOADS, TITLES, Load
from clients.replies import Reply

if TYPE_CHECKING:
    import pytest

TARGET = Target("http://127.0.0.1:1", "127.0.0.1:1", 2, ("127.0.0.1", 1))
YES = Reply(202, b'{"status":"accepted"}', False, None, None)
BUSY = Reply(503, b'{"status":"rejected","reason":"server_busy"}', False, 1, None)
CROWDED = Reply(503, b'{"status":"error","reason":"too_many_connections"}', True, None, None)


class Script:
    """Stands in for connections: each request takes a second, then the next item comes out."""

    def __init__(self, *items: Reply | NoReply | None) -> None:
        self.items = list(items)
        self.opened = 0
        self.closed = 0
        self.sent: list[bytes] = []

    def connection(self, target: Target) -> Script:
        self.opened += 1
        return self

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def close(self) -> None:
        self.closed += 1

    async def request(self, message: bytes) -> Reply:
        self.sent.append(message)
        item = self.items.pop(0) if self.items else YES
        await trio.sleep(1 if item else math.inf)
        if isinstance(item, NoReply):
            raise item
        assert item is not None
        return item


def scripted(monkeypatch: pytest.MonkeyPatch, *items: Reply | NoReply | None) -> Script:
    script = Script(*items)
    monkeypatch.setattr(flood, "Connection", script.connection)
    return script


async def test_open_loop_counts_latency_from_the_schedule(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    scripted(monkeypatch)
    result = await run_load(TARGET, Load(requests=4, concurrency=1, rate_per_s=2))
    # Due at 0, 0.5, 1 and 1.5 s; the only connection is free at 0, 1, 2 and 3 s.
    assert result.latencies_s == (1, 1.5, 2, 2.5)
    assert result.duration_s == 4


async def test_open_loop_keeps_to_its_rate_when_connections_are_free(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    scripted(monkeypatch)
    result = await run_load(TARGET, Load(requests=5, concurrency=5, rate_per_s=0.5))
    assert result.latencies_s == (1, 1, 1, 1, 1)
    assert result.duration_s == 9  # the last is due at 8 s


async def test_closed_loop_counts_latency_from_the_sending(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    script = scripted(monkeypatch)
    seen: list[int] = []
    load = Load(requests=6, concurrency=2, users=2)
    result = await run_load(TARGET, load, on_progress=seen.append)
    assert result.latencies_s == (1,) * 6
    assert result.duration_s == 3
    assert not result.stalled
    assert result.throughput_per_s == 2
    assert result.by_user(Outcome.ACCEPTED) == {"user0": 3, "user1": 3}
    assert script.opened == 2
    assert script.closed == 0
    assert b'"user":"user0"' in script.sent[0]
    assert sorted(seen) == seen
    assert {2, 4} <= set(seen)


async def test_connection_for_every_request(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    script = scripted(monkeypatch)
    await run_load(TARGET, Load(requests=3, concurrency=1, new_connections=True))
    assert script.closed == 3
    assert all(b"\r\nConnection: close\r\n" in message for message in script.sent)


async def test_every_request_ends_in_one_outcome(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    lost, refused = NoReply(TARGET, "reset", sent=True), NoReply(TARGET, "refused", sent=False)
    scripted(monkeypatch, YES, BUSY, CROWDED, lost, refused, YES)
    result = await run_load(TARGET, Load(requests=6, concurrency=1, users=3))
    assert result.outcomes == (
        Outcome.ACCEPTED,
        Outcome.REJECTED,
        Outcome.ERROR,
        Outcome.UNKNOWN,
        Outcome.UNSENT,
        Outcome.ACCEPTED,
    )
    assert (result.accepted, result.rejected, result.errors) == (2, 1, 3)
    assert (result.sent, result.unknown) == (5, 1)
    assert result.by_user(Outcome.UNKNOWN) == {"user0": 1}
    assert result.latency().count == 4
    assert result.latency(Outcome.REJECTED).count == 1
    assert result.answers() == {
        "202 accepted": 2,
        "503 server_busy": 1,
        "503 too_many_connections": 1,
        "no reply": 1,
        "not sent": 1,
    }


async def test_stalled_load_is_given_up(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    scripted(monkeypatch, YES, None)  # the second is never answered
    result = await run_load(TARGET, Load(requests=5, concurrency=1), stall_s=7)
    assert result.outcomes == (Outcome.ACCEPTED, Outcome.UNKNOWN, *[Outcome.UNSENT] * 3)
    assert result.stalled
    assert 8 <= trio.current_time() < 8.5


async def test_load_lasts_until_its_last_reply_whatever_is_waited_for_in_vain(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    scripted(monkeypatch, YES, None, YES, YES)
    result = await run_load(TARGET, Load(requests=4, concurrency=2), stall_s=30)
    assert result.unknown == 1
    assert result.duration_s == 3
    assert result.throughput_per_s == 1
    assert trio.current_time() > 30
    scripted(monkeypatch, None)
    result = await run_load(TARGET, Load(requests=1, concurrency=1), stall_s=30)
    assert result.duration_s == 0


def test_echo_is_accepted_with_its_own_body_only() -> None:
    load = Load(requests=3, concurrency=1, users=2)
    one, other = (Reply(200, body, False, None, None) for body in load.bodies())
    result = LoadResult(load, 1.0, (one, one, one), (0.1,) * 3, echo=True)
    assert result.outcomes == (Outcome.ACCEPTED, Outcome.ERROR, Outcome.ACCEPTED)
    assert LoadResult(load, 1.0, (one, other, one), (0.1,) * 3, echo=True).errors == 0


def test_percentiles_are_samples() -> None:
    assert Latency.of(range(200, 0, -1)) == Latency(200, 100.5, 100, 198, 200)
    assert Latency.of([0.5]) == Latency(1, 0.5, 0.5, 0.5, 0.5)
    assert Latency.of([]).count == 0


def test_the_documents_loads() -> None:
    assert LOADS.keys() == TITLES.keys() == set(range(1, 11))
    flooded = LOADS[7]
    assert (flooded.requests, flooded.concurrency, flooded.users) == (5000, 200, 20)
    assert (LOADS[8].users, LOADS[5].requests, LOADS[5].amount) == (100, 1000, 1)
    assert flooded.bodies()[3] == b'{"user":"user3","action":"deposit","amount":10}'
