"""What each stage adds where threads, sockets and the real clock are the subject.

Nothing is timed to the millisecond: ratios, orders, and what is logged.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
import time
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import trio
from support import (
    EVENT,
    PATIENCE_S,
    broken_rules,
    event,
    misbehave,
    request,
    running,
)
from trio.testing import wait_all_tasks_blocked

from trio_stages.heartbeat import FROZEN_S, PERIOD_S
from trio_stages.work import Work

if TYPE_CHECKING:
    from support import Server

FREEZE_S = 0.5
assert FREEZE_S - PERIOD_S > FROZEN_S


# A frozen loop


def freezes_s(caplog: pytest.LogCaptureFixture) -> list[float]:
    """How long the loop was frozen, each time, by the heartbeat's own account."""
    pattern = re.compile(r"the event loop was frozen for ([0-9.]+) s: no task ran")
    found = (pattern.fullmatch(record.getMessage()) for record in caplog.records)
    return [float(match[1]) for match in found if match]


def silent_clients_and_one(port: int, silent: int) -> bool:
    """Connect so many that say nothing, and one that asks; was it answered while they stayed?"""
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(silent)]
    with socket.create_connection(("127.0.0.1", port)) as good:
        good.sendall(request(body=b"hello", close=True))
        good.settimeout(FREEZE_S)
        try:
            answer = good.recv(65_536)
        except TimeoutError:
            answer = b""
        answered_beside_them = bool(answer)
        for client in clients:
            client.close()
        good.settimeout(PATIENCE_S)
        while part := good.recv(65_536):
            answer += part
    assert answer.endswith(b"hello")
    return answered_beside_them


@pytest.mark.parametrize(("stage", "answered"), [(1, False), (2, True)])
async def test_twenty_silent_clients_freeze_stage_1_and_not_stage_2(
    stage: int, answered: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """At stage 1 the whole loop waits, not one task; when they leave, the others are answered."""
    async with running(stage, tcp=True) as server:
        port = server.port
        observed = await trio.to_thread.run_sync(silent_clients_and_one, port, 20)
        assert observed is answered
        await wait_all_tasks_blocked()  # the heartbeat has spoken
    frozen_s = max(freezes_s(caplog), default=0.0)
    assert (frozen_s > FREEZE_S * 0.7) == (not answered)


@pytest.mark.parametrize("blocking_sleep", [True, False])
async def test_the_wrong_sleep_freezes_stage_4(
    blocking_sleep: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The same work and the same lock; only with ``time.sleep`` does everybody else stand still."""
    options: dict[str, Any] = {"work_ms": FREEZE_S * 1000, "blocking_sleep": blocking_sleep}
    order = []

    async def ask(server: Server, what: str) -> None:
        async with await server.connect() as client:
            await (client.post(EVENT) if what == "event" else client.get("/health"))
            order.append(what)

    async with running(4, tcp=True, **options) as server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, server, "event")
            await server.watch.until(lambda books: books.in_hand == 1)
            nursery.start_soon(ask, server, "health")
        await wait_all_tasks_blocked()  # the heartbeat has spoken
    assert order == (["event", "health"] if blocking_sleep else ["health", "event"])
    assert bool(freezes_s(caplog)) is blocking_sleep


async def test_stage_2_needs_no_threads_for_hundreds_of_sockets() -> None:
    threads = threading.active_count()
    async with running(2, tcp=True) as server:
        clients = [await server.connect() for _ in range(200)]
        for client in clients:
            await client.send(request(body=b"hello"))
        for client in clients:
            assert (await client.response()).body == b"hello"
        assert threading.active_count() == threads
        for client in clients:
            await client.aclose()


# Workers in threads


async def drained_s(stage: int, bodies: list[bytes], **options: Any) -> float:
    """Post all of them, and wait until they are processed; how long did that take?"""
    async with running(stage, tcp=True, capacity=len(bodies), **options) as server:
        start_s = time.perf_counter()
        async with await server.connect() as client:
            for body in bodies:
                assert (await client.post(body)).status == 202
        await server.idle()
        assert server.books.processed == len(bodies)
        return time.perf_counter() - start_s


async def fastest_s(stage: int, bodies: list[bytes], **options: Any) -> float:
    """Of three runs, because the machine has other things to do."""
    return min([await drained_s(stage, bodies, **options) for _ in range(3)])


async def test_four_threads_sleep_four_times_as_fast_as_one() -> None:
    bodies = [EVENT] * 24
    work: dict[str, Any] = {"work_ms": 60, "offload": "thread"}
    # Each job is long beside what a busy machine adds to it.
    one_s = await drained_s(6, bodies, workers=1, **work)
    four_s = await fastest_s(6, bodies, workers=4, **work)
    assert one_s > 3 * four_s


@pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="threads do run in parallel here"
)
async def test_four_threads_burn_no_faster_than_one() -> None:
    """They take turns: 24 times 5 ms of CPU are 120 ms, whatever the machine has to spare."""
    work: dict[str, Any] = {"work_ms": 5, "offload": "thread", "work": "cpu"}
    assert await fastest_s(6, [EVENT] * 24, workers=4, **work) >= 24 * 0.005


async def test_in_threads_too_one_lock_is_the_limit_and_shards_are_not() -> None:
    """16 workers, 10 ms outside the lock and 10 ms inside: 100 jobs/s behind one, 800 without."""
    users = [f"user{number}" for number in range(16)]
    bodies = [event(user, amount) for amount in (1, 2, 3, 4) for user in users]
    work: dict[str, Any] = {"work_ms": 10, "hold_ms": 10, "workers": 16, "offload": "thread"}
    one_lock_s = await drained_s(7, bodies, **work, state="mutex")
    a_lock_each_s = await fastest_s(8, bodies, **work, state="per-user")
    assert one_lock_s >= len(bodies) * 0.010
    assert one_lock_s > 2.5 * a_lock_each_s


@pytest.mark.parametrize("state", ["mutex", "rwlock", "sharded", "per-user"])
async def test_contention_shows_in_the_times_of_the_lock(state: str) -> None:
    """One hot user: sixteen workers wait in line, whatever the locks are."""
    options: dict[str, Any] = {"work_ms": 0, "hold_ms": 5, "workers": 16, "offload": "thread"}
    async with running(7, tcp=True, **options, state=state, shards=8) as server:
        async with await server.connect() as client:
            for _ in range(40):
                await client.post()
        await server.idle()
        lock = server.telemetry.stats()["lock"]
        assert lock["acquisitions"] == 40
        assert lock["hold_ms"]["total"] >= 40 * 5
        assert lock["wait_ms"]["total"] > 3 * lock["hold_ms"]["total"]


async def test_a_reader_in_a_thread_sees_books_that_add_up() -> None:
    """Also between any two steps of the event loop."""
    problems, snapshots, stop = [], [], threading.Event()

    def read(server: Server) -> None:
        while not stop.is_set():
            books = server.books
            problems.extend(broken_rules(books))
            snapshots.append(books.processed)

    options: dict[str, Any] = {"work_ms": 1, "hold_ms": 0, "workers": 8, "offload": "thread"}
    async with running(8, tcp=True, **options) as server, trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, read, server)
        async with await server.connect() as client:
            for number in range(300):
                await client.post(event(f"user{number % 7}"))
        await server.idle()
        stop.set()
    assert not problems, problems[:3]
    assert snapshots == sorted(snapshots)
    assert len(set(snapshots)) > 10


async def test_who_asks_for_a_balance_waits_for_its_lock_and_the_loop_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inside, leave = threading.Event(), threading.Event()

    def in_thread(self: Work, duration_s: float) -> None:
        if duration_s:  # of the hold
            inside.set()
            leave.wait(PATIENCE_S)

    monkeypatch.setattr(Work, "in_thread", in_thread)
    async with running(7, tcp=True, work_ms=0, hold_ms=1, offload="thread") as server:
        asking, other = await server.connect(), await server.connect()
        await other.post()
        await trio.to_thread.run_sync(inside.wait, PATIENCE_S)
        await asking.send(request("GET", "/balances/alice", b""))
        assert (await other.get("/health")).status == 200  # the lock is still held
        assert not leave.is_set()
        leave.set()
        assert (await asking.response()).json == {"user": "alice", "balance": 100}
        for client in (asking, other):
            await client.aclose()


# A stop


@pytest.mark.parametrize("work", ["sleep", "cpu"])
@pytest.mark.parametrize("stage", [6, 7, 8])
async def test_a_stop_ends_long_jobs_in_threads(stage: int, work: str) -> None:
    """They are abandoned: none had reached the balances. The stop does not wait for them."""
    options: dict[str, Any] = {
        "work_ms": 15_000,
        "workers": 3,
        "capacity": 5,
        "offload": "thread",
        "work": work,
    }
    async with running(stage, tcp=True, **options) as server:
        async with await server.connect() as client:
            for _ in range(6):
                await client.post()
        await server.watch.until(lambda books: books.in_hand == 3)
        start_s = time.perf_counter()
        server.scope.cancel()
    assert time.perf_counter() - start_s < 7
    books = server.books
    assert (books.accepted, books.abandoned, books.processed) == (6, 6, 0)
    assert server.balances == {}


async def test_a_job_beyond_its_last_look_is_finished_by_a_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It does not look again, so it reaches the balances; the queue is abandoned."""
    inside, leave = threading.Event(), threading.Event()

    def in_thread(self: Work, duration_s: float) -> None:
        inside.set()
        leave.wait(PATIENCE_S)

    monkeypatch.setattr(Work, "in_thread", in_thread)
    async with running(6, tcp=True, workers=1, offload="thread") as server:
        async with await server.connect() as client:
            for _ in range(3):
                await client.post()
        await trio.to_thread.run_sync(inside.wait, PATIENCE_S)
        server.scope.cancel()
        await wait_all_tasks_blocked()
        assert server.books.in_hand == 1
        leave.set()
    assert (server.books.processed, server.books.abandoned) == (1, 2)
    assert server.balances == {"alice": 100}


async def test_a_job_that_raises_in_its_thread_is_failed_and_kills_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def in_thread(self: Work, duration_s: float) -> None:
        raise ZeroDivisionError("out of order")

    async with running(6, tcp=True, offload="thread", work_ms=0) as server:
        async with await server.connect() as client:
            with monkeypatch.context() as patch:
                patch.setattr(Work, "in_thread", in_thread)
                for _ in range(10):
                    await client.post()
                await server.idle()
            await client.post()
        await server.idle()
    assert (server.books.failed, server.books.processed) == (10, 1)
    assert len([record for record in caplog.records if "job failed" in record.message]) == 10


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("stage", [6, 7, 8])
async def test_the_books_balance_whatever_happens_in_threads(stage: int, seed: int) -> None:
    """Random posts, disconnects at any byte, a stop at any moment; ``running`` audits it all."""
    random = Random(f"{stage} {seed}")
    options: dict[str, Any] = {
        "work_ms": random.choice([0, 1, 5]),
        "work": random.choice(["sleep", "sleep", "cpu"]),
        "capacity": random.choice([0, 1, 5, 50]),
        "overflow": random.choice(["reject", "wait"]),
        "workers": random.choice([1, 4, 8]),
        "offload": "thread",
    }
    if stage >= 7:
        options |= {"hold_ms": random.choice([0, 2])}
        options |= {"state": random.choice(["mutex", "rwlock", "sharded", "per-user"])}
    async with running(stage, tcp=True, **options) as server:
        traffic = await misbehave(
            server, random, clients=12, pause_s=0.02, stop_after_s=random.uniform(0.05, 0.3)
        )
    traffic.check(server)
    assert traffic.replies, options
