"""What each stage adds, in virtual time: every duration here is exact.

Jobs run in tasks, clients sit on memory streams, so nothing takes time but what is meant to.
``running`` looks at the books after every step of every task.
"""

from __future__ import annotations

import errno
import itertools
import re
import socket
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import trio
from support import (
    EVENT,
    Client,
    ConnectionEnded,
    Response,
    Server,
    event,
    job,
    misbehave,
    request,
    running,
    settings_of,
)
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from trio_stages.heartbeat import PERIOD_S, heartbeat
from trio_stages.model import service_rate_per_s
from trio_stages.stages import stage01_blocking, stage02_concurrency
from trio_stages.state import Entry, PlainBalances
from trio_stages.state.guards import shard_of
from trio_stages.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

QUEUEING = [5, 6, 7, 8]
FLOAT = 1e-9  # what adding up durations costs


async def burst(server: Server, bodies: Iterable[bytes]) -> list[tuple[float, Response]]:
    """Post all at once, each on a connection of its own; the replies, and when they came."""
    replies: list[tuple[float, Response]] = []

    async def post(body: bytes) -> None:
        response = await server.post(body)
        replies.append((trio.current_time(), response))

    async with trio.open_nursery() as nursery:
        for body in bodies:
            nursery.start_soon(post, body)
    return replies


async def pending(server: Server, body: bytes = EVENT) -> Client:
    """A client that has posted and waits for the reply."""
    client = await server.connect()
    await client.send(request(body=body))
    await wait_all_tasks_blocked()
    return client


# Stages 1 and 2, while there are no file descriptors


@pytest.mark.parametrize("stage", [stage01_blocking, stage02_concurrency])
async def test_it_waits_until_there_are_descriptors_again(
    stage: ModuleType, autojump_clock: MockClock
) -> None:
    asked_s = []

    class Exhausted(trio.abc.Listener[trio.abc.Stream]):
        async def accept(self) -> trio.abc.Stream:
            asked_s.append(trio.current_time())
            if len(asked_s) > 3:
                await trio.sleep_forever()
            await trio.lowlevel.checkpoint()
            raise OSError(errno.EMFILE, "Too many open files")

        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()

    with trio.move_on_after(10) as scope:
        await stage.serve(Exhausted(), Telemetry(settings_of(1)))
    assert scope.cancelled_caught
    assert asked_s == pytest.approx([0.0, 0.1, 0.2, 0.3])


# Stage 2: one task per connection


async def test_stage_2_answers_beside_twenty_silent_clients(autojump_clock: MockClock) -> None:
    async with running(2) as server:
        silent = [await server.connect() for _ in range(20)]
        await wait_all_tasks_blocked()
        reply = await server.post(b"hello")
        assert (reply.status, reply.body) == (200, b"hello")
        assert trio.current_time() == 0.0
        for client in silent:  # they were served as well, had they but spoken
            assert (await client.post(b"at last")).body == b"at last"
            await client.aclose()


async def test_stage_2_serves_hundreds_at_once(autojump_clock: MockClock) -> None:
    async with running(2) as server:
        clients = [await server.connect() for _ in range(300)]
        for number, client in enumerate(clients):
            await client.send(request(body=b"%d" % number)[:-1])  # all of them under way
        for number, client in enumerate(clients):
            await client.send(request(body=b"%d" % number)[-1:])
            assert (await client.response()).body == b"%d" % number
            await client.aclose()
        assert trio.current_time() == 0.0


# Stage 3: errors are predictable, and nobody else's


async def test_stage_3_gives_a_neighbour_no_wrong_reply(autojump_clock: MockClock) -> None:
    async with running(3) as server:
        good, bad = await server.connect(), await server.connect()
        half = len(request()) // 2
        await good.send(request()[:half])
        await bad.send(b"GET / HTTP/1.1\r\nbroken header\r\n\r\n")
        assert (await bad.response()).status == 400
        with pytest.raises(ConnectionEnded):
            await bad.response()
        await good.send(request()[half:])
        assert (await good.response()).json == {"status": "accepted"}
        for client in (good, bad):
            await client.aclose()
        assert (server.books.processed, server.books.http_errors) == (1, 1)


# Stage 4: one lock, and the work inside it


async def test_stage_4_takes_five_seconds_for_ten_clients(autojump_clock: MockClock) -> None:
    async with running(4) as server:
        replies = await burst(server, [EVENT] * 10)
        assert [at_s for at_s, _ in replies] == [0.5 * n for n in range(1, 11)]
        assert [reply.json["balance"] for _, reply in replies] == [100 * n for n in range(1, 11)]
        final = server.telemetry.final()  # of what stages 5 and up tell, it has zeros
        assert final["queue_delay_ms"] == {"p50": 0, "p99": 0, "max": 0}
        assert final["drain_rate_per_s"] == 0


async def test_stage_4_queues_at_the_lock(autojump_clock: MockClock) -> None:
    async with running(4) as server:
        clients = [await pending(server) for _ in range(10)]
        assert (server.books.accepted, server.books.queued, server.books.in_hand) == (10, 9, 1)
        await trio.sleep(1.2)
        assert (server.books.processed, server.books.queued, server.books.in_hand) == (2, 7, 1)
        server.scope.cancel()
        await wait_all_tasks_blocked()
        assert (server.books.processed, server.books.abandoned) == (2, 8)
        for client in clients:
            await client.aclose()


async def test_stage_4_finishes_the_event_of_a_client_that_has_left(
    autojump_clock: MockClock,
) -> None:
    async with running(4) as server:
        for number in range(3):  # the first has the lock, the others wait for it
            leaving = await pending(server, event(f"leaver{number}", 1))
            await leaving.aclose()
        await server.post(event("stayer", 1))
        assert trio.current_time() == 2.0
        assert server.balances == {"leaver0": 1, "leaver1": 1, "leaver2": 1, "stayer": 1}
        assert server.books.abandoned == 0


# Stage 5: a bounded queue, and an honest no


@pytest.mark.parametrize(
    ("stage", "accepted", "drained_s"),
    [(5, 101, 101 * 0.5), (6, 104, 104 / 4 * 0.5)],
    ids=["stage5", "stage6"],
)
async def test_a_burst_of_200(
    stage: int, accepted: int, drained_s: float, autojump_clock: MockClock
) -> None:
    """A hundred in the queue and one with each worker; the rest are told at once."""
    async with running(stage) as server:
        await wait_all_tasks_blocked()  # the workers are ready
        replies = await burst(server, [EVENT] * 200)
        assert {at_s for at_s, _ in replies} == {0.0}
        by_status = {status: [r for _, r in replies if r.status == status] for status in (202, 503)}
        assert [len(some) for some in by_status.values()] == [accepted, 200 - accepted]
        refused = {"status": "rejected", "reason": "server_busy"}
        assert all(reply.json == refused for reply in by_status[503])
        retry_after = {5: "50", 6: "13"}[stage]  # 100 queued, at 2 or 8 jobs/s
        assert {reply.headers["retry-after"] for reply in by_status[503]} == {retry_after}
        books = server.books
        assert (books.queued, books.in_hand) == (100, accepted - 100)

        await server.idle()
        assert server.watch.times_of("processed")[-1] == drained_s
        rate_per_s = server.telemetry.ledger.drain_rate_per_s()
        # it forgets in the middle of four that end together
        assert rate_per_s == (2.0 if stage == 5 else pytest.approx(8.0, rel=0.05))
        assert server.balances == {"alice": accepted * 100}


async def test_stage_6_has_four_times_the_rate_of_stage_5(autojump_clock: MockClock) -> None:
    """Exactly: the same 80 events take 40 s with one worker, and 10 s with four."""
    for stage, drained_s in ((5, 40.0), (6, 10.0)):
        start_s = trio.current_time()
        async with running(stage) as server:
            await burst(server, [EVENT] * 80)
            await server.idle()
            assert server.watch.times_of("processed")[-1] - start_s == pytest.approx(drained_s)


@pytest.mark.parametrize("capacity", [0, 1, 7])
async def test_stage_5_accepts_what_it_holds_and_one_in_hand(
    capacity: int, autojump_clock: MockClock
) -> None:
    async with running(5, capacity=capacity) as server:
        await wait_all_tasks_blocked()
        replies = await burst(server, [EVENT] * 20)
        assert [reply.status for _, reply in replies].count(202) == capacity + 1


@pytest.mark.untraced
@pytest.mark.parametrize("overflow", ["reject", "wait"])
@pytest.mark.parametrize("stage", QUEUEING)
@pytest.mark.parametrize("work_ms", [0, 10])
async def test_the_queue_never_holds_more_than_it_can(
    stage: int, work_ms: float, overflow: str, autojump_clock: MockClock
) -> None:
    """Also while a job is on its way from the queue to a worker; ``Watch`` looks at every step."""
    async with running(stage, capacity=2, work_ms=work_ms, overflow=overflow) as server:

        async def post_often() -> None:
            async with await server.connect() as client:
                for _ in range(30):
                    await client.post()

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(post_often)
        await server.idle()
        assert max(books.queued for _, books in server.watch.history) == 2
        assert server.books.received == 600
        assert (server.books.rejected == 0) == (overflow == "wait")


@pytest.mark.parametrize(
    ("queued", "per_s", "measured_per_s", "seconds"),
    [
        (100, 2.0, None, 50),
        (100, 8.0, None, 13),  # 12.5
        (1, 1000.0, None, 1),  # at least one
        (0, 2.0, None, 1),
        (200, 2.0, None, 60),  # at most sixty
        (100, 2.0, 40.0, 3),  # what was measured counts, not what was meant
        (100, 1000.0, 4.0, 25),
    ],
)
def test_retry_after(queued: int, per_s: float, measured_per_s: float | None, seconds: int) -> None:
    now_s = 0.0
    telemetry = Telemetry(settings_of(5, work_ms=1000 / per_s), clock=lambda: now_s)
    ledger = telemetry.ledger
    jobs = [job() for _ in range(queued + 8)]
    for each in jobs:
        ledger.accept(each)
    for each in jobs[:8]:
        ledger.take(each)
        if measured_per_s:
            now_s += 1 / measured_per_s
            ledger.apply(each, int)
    assert ledger.queued == queued
    assert telemetry.retry_after_s() == seconds


def test_retry_after_of_work_that_takes_no_time() -> None:
    assert Telemetry(settings_of(5, work_ms=0)).retry_after_s() == 1


async def test_retry_after_follows_the_measured_rate(autojump_clock: MockClock) -> None:
    """A single hot user: stage 8 could do 145 jobs/s, and does 10, behind the lock of one shard."""
    async with running(8, hold_ms=100, capacity=300) as server:
        await wait_all_tasks_blocked()
        refused = [reply for _, reply in await burst(server, [EVENT] * 320) if reply.status == 503]
        assert [reply.headers["retry-after"] for reply in refused] == ["3"] * 4  # 300 / 145
        await trio.sleep(5.005)
        refused = [reply for _, reply in await burst(server, [EVENT] * 100) if reply.status == 503]
        assert {reply.headers["retry-after"] for reply in refused} <= {"30", "31"}  # 300 / 10
        assert refused


# The other policy: wait for a place


WAITING: dict[str, Any] = {"capacity": 2, "workers": 1, "work_ms": 500, "overflow": "wait"}


@pytest.mark.parametrize("stage", QUEUEING)
async def test_those_who_wait_are_counted_and_accepted_later(
    stage: int, autojump_clock: MockClock
) -> None:
    hold: dict[str, Any] = {"hold_ms": 0} if stage >= 7 else {}
    async with running(stage, **WAITING, **hold) as server:
        await wait_all_tasks_blocked()
        clients = [await pending(server) for _ in range(6)]
        books = server.books
        assert (books.in_hand, books.queued, books.waiting) == (1, 2, 3)
        assert (books.received, books.accepted) == (3, 3)  # not received before its outcome
        came_s = []
        for client in clients:
            assert (await client.response()).status == 202
            came_s.append(trio.current_time())
            await client.aclose()
        assert came_s == [0.0, 0.0, 0.0, 0.5, 1.0, 1.5]
        await server.idle()
        assert trio.current_time() == 3.0
        assert (server.books.accepted, server.books.rejected) == (6, 0)


@pytest.mark.parametrize("how", ["vanishes", "stops sending"])
async def test_one_who_waits_and_leaves_is_rejected(how: str, autojump_clock: MockClock) -> None:
    async with running(5, **WAITING) as server:
        await wait_all_tasks_blocked()
        clients = [await pending(server) for _ in range(5)]
        leaving, staying = clients[3], clients[4]
        assert server.books.waiting == 2
        if how == "vanishes":
            await leaving.aclose()
        else:
            await leaving.stream.send_eof()
            reply = await leaving.response()
            assert (reply.status, reply.json["reason"]) == (503, "server_busy")
        await wait_all_tasks_blocked()
        assert trio.current_time() == 0.0
        assert (server.books.waiting, server.books.rejected, server.books.received) == (1, 1, 4)
        assert (await staying.response()).status == 202  # its place did not go with the other
        assert trio.current_time() == 0.5
        for client in clients:
            await client.aclose()
        await server.idle()
        assert (server.books.processed, server.books.rejected) == (4, 1)


async def test_those_who_wait_at_a_stop_are_rejected_and_the_queued_abandoned(
    autojump_clock: MockClock,
) -> None:
    async with running(5, **WAITING) as server:
        await wait_all_tasks_blocked()
        clients = [await pending(server) for _ in range(6)]
        server.scope.cancel()
        await wait_all_tasks_blocked()
        books = server.books
        assert (books.received, books.accepted, books.rejected, books.abandoned) == (6, 3, 3, 3)
        assert (books.waiting, books.queued, books.in_hand) == (0, 0, 0)
        for client in clients:
            await client.aclose()


async def test_with_no_capacity_each_waits_for_the_worker(autojump_clock: MockClock) -> None:
    async with running(5, **(WAITING | {"capacity": 0})) as server:
        await wait_all_tasks_blocked()
        replies = await burst(server, [EVENT] * 4)
        assert [(at_s, reply.status) for at_s, reply in replies] == [
            (0.0, 202), (0.5, 202), (1.0, 202), (1.5, 202),
        ]  # fmt: skip


# A job that raises


@pytest.mark.parametrize("stage", [4, *QUEUEING])
async def test_a_job_that_raises_is_failed_and_kills_nobody(
    stage: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: MockClock,
) -> None:
    def add(*_: object) -> int:
        raise ZeroDivisionError("out of order")

    async with running(stage, capacity=50) as server:
        with monkeypatch.context() as patch:
            patch.setattr(PlainBalances, "add", add)
            patch.setattr(Entry, "add", add)
            replies = await burst(server, [EVENT] * 20)
            await server.idle()
        assert (server.books.failed, server.books.processed) == (20, 0)
        # At stage 4 the client waits for the outcome, later it has long been gone.
        assert {reply.status for _, reply in replies} == ({500} if stage == 4 else {202})
        assert len([r for r in caplog.records if "job failed" in r.message]) == 20
        await server.post(EVENT)
        await server.idle()
        assert (server.books.failed, server.books.processed) == (20, 1)
        assert server.balances == {"alice": 100}


# Stages 7 and 8: the lock, measured, and cut into shards


async def completions(server: Server, bodies: Iterable[bytes]) -> list[float]:
    """Post one after the other, in no time; then wait. When was each job processed?"""
    await wait_all_tasks_blocked()
    async with await server.connect() as client:
        for body in bodies:
            assert (await client.post(body)).status == 202
    await server.idle()
    times: list[float] = []
    for (_, before), (at_s, after) in itertools.pairwise(server.watch.history):
        times += [at_s] * (after.processed - before.processed)
    return times


def per_cycle(times: list[float], workers: int) -> list[float]:
    """How long after one job of each worker the next one came: once for each job."""
    return [after - before for before, after in zip(times, times[workers:], strict=False)]


@pytest.mark.parametrize("workers", [1, 4, 16, 64])
async def test_one_lock_lets_1_through_each_hold_however_many_workers(
    workers: int, autojump_clock: MockClock
) -> None:
    """100 jobs/s behind 10 ms: the sweep flattens at 11 workers, and theory says so exactly."""
    async with running(7, workers=workers, capacity=200) as server:
        times = await completions(server, [EVENT] * 200)
        rate_per_s = service_rate_per_s(workers, 0.1, 0.01, one_lock=True)
        assert rate_per_s == pytest.approx({1: 1 / 0.11, 4: 4 / 0.11}.get(workers, 100.0))
        assert per_cycle(times, workers) == pytest.approx(
            [workers / rate_per_s] * (200 - workers), abs=FLOAT
        )
        if workers >= 11:
            assert times == pytest.approx([0.1 + 0.01 * n for n in range(1, 201)], abs=FLOAT)


@pytest.mark.parametrize(("workers", "wait_ms"), [(1, 0), (4, 0), (16, 50), (64, 530)])
async def test_the_wait_for_the_lock_is_measured_beside_the_hold(
    workers: int, wait_ms: float, autojump_clock: MockClock
) -> None:
    """The whole line is ``workers`` holds long; a worker is away from it for 110 ms."""
    async with running(7, workers=workers, capacity=1000) as server:
        await completions(server, [EVENT] * 1000)
        lock = server.telemetry.stats()["lock"]
        assert lock["acquisitions"] == 1000
        assert lock["hold_ms"]["total"] == pytest.approx(10_000)
        assert lock["hold_ms"]["max"] == pytest.approx(10)
        # quantiles are within 1/64
        assert lock["hold_ms"]["p50"] == pytest.approx(10, rel=1 / 60)
        assert lock["wait_ms"]["p50"] == pytest.approx(wait_ms, rel=1 / 60, abs=FLOAT)
        most = 10.0 * (workers - 1)  # all of the others first: at the start
        assert lock["wait_ms"]["max"] == pytest.approx(most, abs=FLOAT)


def users_in_shards_of_their_own(count: int, shards: int) -> list[str]:
    by_shard: dict[int, str] = {}
    for number in itertools.count():
        user = f"user{number}"
        by_shard.setdefault(shard_of(user, shards), user)
        if len(by_shard) == count:
            return list(by_shard.values())
    raise AssertionError


async def test_stage_8_does_16_jobs_in_11_ms(autojump_clock: MockClock) -> None:
    """1,455 jobs/s, when no two users who are served at once share a shard."""
    users = users_in_shards_of_their_own(16, shards=64)
    async with running(8, shards=64) as server:
        times = await completions(server, [event(user) for user in users * 20])
        expected = [0.011 * n for n in range(1, 21) for _ in range(16)]
        assert times == pytest.approx(expected, abs=FLOAT)
        assert len(times) / times[-1] == pytest.approx(16 / 0.011)
        assert server.telemetry.stats()["lock"]["wait_ms"]["max"] == 0
        assert server.balances == dict.fromkeys(users, 2000)


# state → jobs/s of 16 workers with 100 ms outside and 10 ms inside the lock: 16 users, one user
SAME_WORKLOAD = {"mutex": (100, 100), "rwlock": (100, 100), "sharded": (16 / 0.11, 100)}
SAME_WORKLOAD["per-user"] = SAME_WORKLOAD["sharded"]


@pytest.mark.parametrize("users", [16, 1])
@pytest.mark.parametrize("state", SAME_WORKLOAD)
@pytest.mark.parametrize("stage", [7, 8])
async def test_the_kinds_of_lock_at_the_same_workload(
    stage: int, state: str, users: int, autojump_clock: MockClock
) -> None:
    """The controlled comparison: nothing differs but the lock, and the file of the stage."""
    names = users_in_shards_of_their_own(16, shards=64)[:users]
    workload: dict[str, Any] = {
        "work_ms": 100,
        "hold_ms": 10,
        "workers": 16,
        "capacity": 100,
        "shards": 64,
    }
    rate_per_s = SAME_WORKLOAD[state][users == 1]
    async with running(stage, state=state, **workload) as server:
        times = await completions(server, [event(name) for name in names * (80 // users)])
        assert per_cycle(times, 16) == pytest.approx([16 / rate_per_s] * 64, abs=FLOAT)
        lock = server.telemetry.stats()["lock"]
        assert lock["acquisitions"] == 80
        assert (lock["wait_ms"]["max"] == 0) == (rate_per_s > 100)


# Whatever the clients do, and whenever the stop comes


@pytest.mark.untraced
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("overflow", ["reject", "wait"])
@pytest.mark.parametrize("stage", [3, 4, *QUEUEING])
async def test_the_books_balance_whatever_happens(
    stage: int, overflow: str, seed: int, autojump_clock: MockClock
) -> None:
    """Random posts, disconnects at any byte, a stop at any moment; ``running`` audits it all."""
    random = Random(f"{stage} {overflow} {seed}")
    options: dict[str, Any] = {}
    if stage >= 4:
        options |= {"work_ms": random.choice([0, 5, 50])}
    if stage >= 5:
        options |= {"capacity": random.choice([0, 1, 5]), "overflow": overflow}
    if stage >= 6:
        options |= {"workers": random.choice([1, 3])}
    if stage >= 7:
        options |= {"hold_ms": random.choice([0, 5])}
        options |= {"state": random.choice(["mutex", "rwlock", "sharded", "per-user"])}
    async with running(stage, **options) as server:
        traffic = await misbehave(
            server, random, clients=12, pause_s=0.05, stop_after_s=random.uniform(0.1, 1)
        )
    traffic.check(server)
    assert traffic.replies, options


# Stages 1 and 2: who vanishes before the refusal


async def test_a_client_that_talks_nonsense_and_vanishes_ends_no_server() -> None:
    telemetry = Telemetry(settings_of(1))
    ours, theirs = socket.socketpair()
    theirs.send(b"nonsense\r\n\r\n")
    theirs.close()
    stage01_blocking.handle(ours, telemetry)
    server_end, client_end = memory_stream_pair()
    await client_end.send_all(b"nonsense\r\n\r\n")
    await client_end.aclose()
    await stage02_concurrency.handle(server_end, telemetry)
    assert telemetry.ledger.statistics().http_errors == 2


# What is logged


async def test_the_heartbeat_says_how_long_the_loop_was_frozen(
    mock_clock: MockClock, nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    nursery.start_soon(heartbeat)
    for _ in range(5):  # in time
        await wait_all_tasks_blocked()
        mock_clock.jump(PERIOD_S)
    await wait_all_tasks_blocked()
    assert not caplog.records
    mock_clock.jump(PERIOD_S + 3.2)
    await wait_all_tasks_blocked()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == "the event loop was frozen for 3.2 s: no task ran"
    nursery.cancel_scope.cancel()


async def test_stage_7_logs_what_the_lock_costs(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """The document's lines, for about one job in ten; every 2 s what all of them did."""
    caplog.set_level("INFO", "trio_stages.joblog")
    async with running(7, capacity=500) as server:
        await completions(server, [event("user3", 10)] * 500)
        await trio.sleep(10)  # nothing is said of seconds without jobs
    lines = [record.getMessage() for record in caplog.records]
    number = r"-?[0-9]+\.[0-9]{2}ms"
    form = rf"\[Worker ([ 1][0-9])\] user=user3, balance=([0-9]+), wait=({number}), hold=10\.00ms"
    jobs = [line for line in lines if line.startswith("[Worker ")]
    matches = [match for line in jobs if (match := re.fullmatch(form, line))]
    assert len(matches) == len(jobs)
    balances = [int(match[2]) for match in matches]
    assert balances[:2] == [10, 170]  # the first sixteen were taken together
    assert {b - a for a, b in itertools.pairwise(balances[1:])} <= {100, 110}
    assert balances[-1] > 5000 - 160 - 110
    assert jobs[0].endswith("wait=0.00ms, hold=10.00ms")
    assert jobs[-1].endswith("wait=50.00ms, hold=10.00ms")
    throughput = [line for line in lines if line.startswith("throughput")]
    form = r"throughput: ([0-9.]+) jobs/s, on average wait=([0-9.]+)ms, hold=10\.00ms"
    rates = [
        (float(match[1]), match[2])
        for match in (re.fullmatch(form, t) for t in throughput)
        if match
    ]
    # a job that ends at the very moment of the report is in this one or in the next
    assert rates[1] in [(rate, "50.00") for rate in (99.5, 100.0, 100.5)]
    assert len(rates) == len(throughput) == 3  # 0.1 + 500 × 0.01 s
    assert len(lines) == len(jobs) + len(throughput)


async def test_a_faster_stage_does_not_log_more(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """Stage 8 does 1,600 jobs/s: a line in 0.1 s, and an average over all of them."""
    caplog.set_level("INFO", "trio_stages.joblog")
    async with running(8, capacity=4000, workers=16, work_ms=10, hold_ms=0) as server:
        await completions(server, [event(f"user{n % 100}", 10) for n in range(4000)])
    lines = [record.getMessage() for record in caplog.records]
    assert 22 <= sum(line.startswith("[Worker ") for line in lines) <= 26  # of 2.5 s
    assert sum(line.startswith("throughput: 1") for line in lines) == 1
