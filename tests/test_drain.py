"""Stage 10 comes to its end in order, in time, and with nothing lost that it had accepted.

In virtual time, where every duration is exact; ``test_drain_real.py`` has sockets and processes.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import trio
from support import (
    Client,
    ConnectionEnded,
    MemoryListener,
    Response,
    Server,
    misbehave,
    request,
    running,
)
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_stages.connection import LAST_CALL_S, LINGER_S
from trio_stages.ledger import Ledger
from trio_stages.server import BACKLOG_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_stages.ledger import Job

STOPPING = {"status": "rejected", "reason": "shutting_down"}
# One worker, half a second a job, all of it in virtual time.
SLOW: dict[str, Any] = {"workers": 1, "work_ms": 500, "hold_ms": 0}
#: Longer than any test: only the drain's own deadline is left to end a thing.
PATIENT: dict[str, Any] = {f"{name}_timeout": 1e6 for name in ("header", "body", "idle", "write")}


def stop(server: Server) -> None:
    assert server.stop_gracefully is not None
    server.stop_gracefully()


async def stopped(server: Server) -> float:
    """Stop the server; how long did it take?"""
    began_s = trio.current_time()
    stop(server)
    await server.ended.wait()
    return trio.current_time() - began_s


async def posted(server: Server, number: int) -> None:
    """So many events are accepted; as many as there are free workers are in hand."""
    await wait_all_tasks_blocked()
    async with await server.connect() as client:
        for _ in range(number):
            assert (await client.post()).status == 202
    await wait_all_tasks_blocked()


async def end_of(client: Client) -> float:
    """Read until the server ends the connection, then close it; when was that?"""
    with pytest.raises(ConnectionEnded) as ended:
        await client.response()
    assert ended.value.args == (b"",), "something else came before the end"
    at_s = trio.current_time()
    await client.aclose()
    return at_s


# The order


class Timeline(trio.abc.Instrument):
    """Who did what, in which order: looks after every step of every task."""

    def __init__(self) -> None:
        self.events: list[tuple[float, str]] = []
        self._awaited: dict[str, Callable[[], bool]] = {}

    def note(self, what: str) -> None:
        self.events.append((round(trio.current_time(), 6), what))

    def when(self, what: str, condition: Callable[[], bool]) -> None:
        """Note it as soon as the condition holds."""
        self._awaited[what] = condition

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        for what in [what for what, condition in self._awaited.items() if condition()]:
            del self._awaited[what]
            self.note(what)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        who = task.name.rpartition(".")[2]
        if who in ("worker", "heartbeat"):
            self.note(f"{who} left")


@pytest.fixture
def channels(monkeypatch: pytest.MonkeyPatch) -> list[trio.MemoryReceiveChannel[Job]]:
    """The receiving end of each stage's channel that is opened from here on."""
    channels: list[trio.MemoryReceiveChannel[Job]] = []
    dropping = Ledger.dropping

    def recorded(self: Ledger, jobs: trio.MemoryReceiveChannel[Job]) -> Any:
        channels.append(jobs)
        return dropping(self, jobs)

    monkeypatch.setattr(Ledger, "dropping", recorded)
    return channels


async def test_the_order_is_the_reverse_of_the_start(
    channels: list[trio.MemoryReceiveChannel[Job]], autojump_clock: MockClock
) -> None:
    """Two in hand, one queued; one connection has nothing to say."""
    timeline = Timeline()
    trio.lowlevel.add_instrument(timeline)
    settings = SLOW | {"workers": 2, "capacity": 1}
    async with running(10, **settings) as server, await server.connect() as idle:
        await posted(server, 3)
        assert (await idle.get("/health")).status == 200
        await trio.sleep_until(0.2)
        listener, (jobs,) = server.listener, channels
        assert isinstance(listener, MemoryListener)

        timeline.when("draining", lambda: server.telemetry.draining)
        timeline.when("listener closed", lambda: listener.closed)
        timeline.when("connections closed", lambda: server.telemetry.connections == 0)
        timeline.when("channel closed", lambda: not jobs.statistics().open_send_channels)
        timeline.when("queue empty", lambda: not server.books.queued)
        timeline.when("ended", server.ended.is_set)
        stop(server)
        assert (await idle.get("/health")).status == 503
        timeline.note("503")
        assert await end_of(idle) == pytest.approx(0.2 + BACKLOG_S + LAST_CALL_S)
        await server.ended.wait()
    assert timeline.events == [
        (0.2, "draining"),
        (0.2, "503"),
        (0.22, "listener closed"),
        (0.32, "connections closed"),
        (0.32, "channel closed"),
        (0.5, "queue empty"),
        (0.5, "worker left"),
        (1.0, "worker left"),
        (1.0, "heartbeat left"),
        (1.0, "ended"),
    ]


# What has been accepted is processed


async def test_the_backlog_is_processed_and_takes_exactly_the_rest(
    autojump_clock: MockClock,
) -> None:
    with trio.fail_after(100):
        async with running(10, **SLOW) as server:
            await posted(server, 10)
            await trio.sleep_until(1.2)
            assert server.books.processed == 2
            assert await stopped(server) == pytest.approx(10 * 0.5 - 1.2)
            assert server.watch.times_of("processed") == [0.5 * n for n in range(1, 11)]
            books, final = server.books, server.telemetry.final()
            assert (books.accepted, books.processed, books.abandoned) == (10, 10, 0)
            assert (final["drained"], final["draining"]) == (8, True)
            assert server.balances == {"alice": 1000}


async def test_several_workers_share_the_rest(autojump_clock: MockClock) -> None:
    with trio.fail_after(100):
        async with running(10, **(SLOW | {"workers": 4})) as server:
            await posted(server, 10)
            assert await stopped(server) == pytest.approx(1.5)  # 4 + 4 + 2
            assert server.books.processed == 10


async def test_with_nothing_to_do_it_takes_the_last_call_and_no_longer(
    autojump_clock: MockClock,
) -> None:
    async with running(10) as server:
        assert "drained" not in server.telemetry.final()
        assert await stopped(server) == pytest.approx(BACKLOG_S + LAST_CALL_S)
        assert server.telemetry.final()["drained"] == 0


async def test_a_job_that_fails_while_draining_holds_nobody_up(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(10, **SLOW) as server:
        await posted(server, 4)
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "apply", lambda *_: 1 / 0)
            assert await stopped(server) == pytest.approx(2.0)
        books = server.books
        assert (books.accepted, books.failed, books.abandoned) == (4, 4, 0)
        assert server.telemetry.final()["drained"] == 0
        assert len([r for r in caplog.records if "job failed" in r.message]) == 4


# The deadline


@pytest.mark.parametrize(
    ("drain_timeout", "processed"), [(10.0, 22), (5.0, 12), (0.3, 3), (0.05, 2), (0.001, 2)]
)
async def test_the_deadline_is_exact_and_the_rest_is_abandoned(
    drain_timeout: float, processed: int, autojump_clock: MockClock
) -> None:
    """A hundred seconds of backlog; also a deadline that is shorter than the last call."""
    with trio.fail_after(100):
        async with running(10, **SLOW, drain_timeout=drain_timeout) as server:
            await posted(server, 200)
            await trio.sleep_until(1.25)
            assert await stopped(server) == pytest.approx(drain_timeout, abs=1e-9)
            books = server.books
            assert (books.accepted, books.processed) == (200, processed)
            assert books.abandoned == 200 - processed
            assert server.telemetry.final()["drained"] == processed - 2


async def test_being_told_again_puts_nothing_off(autojump_clock: MockClock) -> None:
    with trio.fail_after(100):
        async with running(10, **SLOW) as server:
            await posted(server, 200)
            stop(server)
            for at_s in (0.6, 3.0, 9.9):
                await trio.sleep_until(at_s)
                stop(server)
            await server.ended.wait()
            assert trio.current_time() == pytest.approx(10.0)
            assert server.telemetry.final()["drained"] == server.books.processed == 19


async def test_cancelled_meanwhile_it_ends_at_once(autojump_clock: MockClock) -> None:
    """That is what a second signal does."""
    with trio.fail_after(100):
        async with running(10, **SLOW) as server:
            await posted(server, 10)
            client = await server.connect()
            await client.send(request()[:-1])
            stop(server)
            await trio.sleep_until(1.25)
            server.scope.cancel()
            await server.ended.wait()
            assert trio.current_time() == 1.25
            books = server.books
            assert (books.processed, books.abandoned) == (2, 8)
            with pytest.raises(ConnectionEnded):
                await client.response()
            await client.aclose()


async def never_reads(server: Server) -> Client:
    client = await server.connect(lockstep=True)
    await client.send(request("GET", "/stats", b""))
    return client


def sends_only(data: bytes) -> Callable[[Server], Any]:
    async def send(server: Server) -> Client:
        client = await server.connect()
        await client.send(data)
        return client

    return send


SLOW_CLIENTS = {
    "never reads its reply": never_reads,
    "never ends its body": sends_only(request()[:-1]),
    "never ends its head": sends_only(request()[:20]),
    "never ends its chunks": sends_only(
        b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"
    ),
}


@pytest.mark.parametrize("holds_up", SLOW_CLIENTS.values(), ids=SLOW_CLIENTS)
async def test_a_slow_client_cannot_hold_the_stop_past_its_deadline(
    holds_up: Callable[[Server], Any], autojump_clock: MockClock
) -> None:
    """Nor does it cost anybody a job: the workers have gone on meanwhile."""
    with trio.fail_after(100):
        async with running(10, **SLOW, **PATIENT, drain_timeout=3.0) as server:
            await posted(server, 4)
            client = await holds_up(server)
            await wait_all_tasks_blocked()
            assert await stopped(server) == pytest.approx(3.0)
            books = server.books
            assert (books.accepted, books.processed, books.abandoned) == (4, 4, 0)
            assert server.telemetry.connections == 0
            await client.aclose()


async def test_the_usual_timeouts_are_in_force_while_it_drains(autojump_clock: MockClock) -> None:
    with trio.fail_after(100):
        async with running(10, body_timeout=2.0, drain_timeout=8.0) as server:
            client = await server.connect()
            await client.send(request()[:-1])
            await wait_all_tasks_blocked()
            stop(server)
            reply = await client.response()
            assert (reply.status, reply.headers["connection"]) == (408, "close")
            assert await end_of(client) == 2.0
            await server.ended.wait()
            assert trio.current_time() == 2.0


# Connections


async def test_idle_connections_are_closed_at_the_last_call(autojump_clock: MockClock) -> None:
    """Those that have asked before and those that never have."""
    async with running(10, **PATIENT) as server:
        clients = [await server.connect() for _ in range(20)]
        for client in clients[:10]:
            assert (await client.get("/health")).status == 200
        began_s = trio.current_time()
        stop(server)
        closed_s = [await end_of(client) - began_s for client in clients]
        assert closed_s == pytest.approx([BACKLOG_S + LAST_CALL_S] * 20)
        await server.ended.wait()
        assert trio.current_time() - began_s == pytest.approx(BACKLOG_S + LAST_CALL_S)


async def test_a_client_that_does_not_hang_up_is_waited_for_a_moment(
    autojump_clock: MockClock,
) -> None:
    async with running(10, **PATIENT) as server, await server.connect():
        await wait_all_tasks_blocked()
        assert await stopped(server) == pytest.approx(BACKLOG_S + LAST_CALL_S + LINGER_S)


@pytest.mark.parametrize("end", [5, 20, -1])
async def test_a_request_begun_before_the_stop_is_answered(
    end: int, autojump_clock: MockClock
) -> None:
    sent = request("GET", "/stats", b"")
    with trio.fail_after(100):
        async with running(10) as server:
            client = await server.connect()
            await client.send(sent[:end])
            await wait_all_tasks_blocked()
            stop(server)
            await trio.sleep_until(5)
            await client.send(sent[end:])
            reply = await client.response()
            assert (reply.status, reply.headers["connection"]) == (200, "close")
            assert reply.json["draining"] is True
            await end_of(client)
            await server.ended.wait()
            assert trio.current_time() == pytest.approx(5.0)


def check_refused(reply: Response) -> None:
    assert (reply.status, reply.json) == (503, STOPPING)
    assert reply.headers["connection"] == "close"


@pytest.mark.parametrize("sent_before", [0, 10, len(request()) - 1])
async def test_an_event_that_is_complete_after_the_stop_is_rejected(
    sent_before: int, autojump_clock: MockClock
) -> None:
    with trio.fail_after(100):
        async with running(10) as server:
            client = await server.connect()
            assert (await client.get("/health")).status == 200
            await client.send(request()[:sent_before])
            await wait_all_tasks_blocked()
            stop(server)
            await trio.sleep(0.05)
            await client.send(request()[sent_before:])
            check_refused(await client.response())
            await end_of(client)
            await server.ended.wait()
            books = server.books
            assert (books.received, books.rejected, books.accepted) == (1, 1, 0)
            assert books.http_errors == 0


async def test_after_the_stop_a_body_that_is_no_event_is_still_invalid(
    autojump_clock: MockClock,
) -> None:
    async with running(10) as server, await server.connect() as client:
        await wait_all_tasks_blocked()
        stop(server)
        assert (await client.post(b"{}")).status == 400
        assert (server.books.invalid, server.books.rejected) == (1, 0)


async def test_the_last_reply_says_so_though_more_has_been_sent(autojump_clock: MockClock) -> None:
    """Three at once; the stop comes while the first waits for a place."""
    settings = SLOW | {"capacity": 0, "overflow": "wait"}
    with trio.fail_after(100):
        async with running(10, **settings) as server:
            await posted(server, 1)
            client = await server.connect()
            await client.send(request() * 3)
            await wait_all_tasks_blocked()
            stop(server)
            check_refused(await client.response())
            await end_of(client)
            await server.ended.wait()
            assert trio.current_time() == pytest.approx(0.5)
            assert (server.books.received, server.books.processed) == (2, 1)


async def test_who_was_in_the_backlog_is_answered_and_who_comes_later_is_refused(
    autojump_clock: MockClock,
) -> None:
    async with running(10) as server:
        await wait_all_tasks_blocked()
        clients = [await server.connect() for _ in range(10)]
        stop(server)  # nobody has accepted them yet
        for client in clients:
            await client.send(request())
            check_refused(await client.response())
            await end_of(client)
        await server.ended.wait()
        assert server.books.rejected == 10
        with pytest.raises(trio.BrokenResourceError):
            await server.connect()


# Those who wait for a place


WAITING: dict[str, Any] = SLOW | {"capacity": 2, "overflow": "wait"}


async def waiting_clients(server: Server, number: int) -> list[Client]:
    await wait_all_tasks_blocked()
    clients = [await server.connect() for _ in range(number)]
    for client in clients:
        await client.send(request())
        await wait_all_tasks_blocked()
    return clients


async def test_those_who_wait_are_refused_at_once(autojump_clock: MockClock) -> None:
    with trio.fail_after(100):
        async with running(10, **WAITING) as server:
            clients = await waiting_clients(server, 8)
            assert server.books.waiting == 5
            await trio.sleep_until(0.2)
            stop(server)
            for client in clients[:3]:
                assert (await client.response()).status == 202
            for client in clients[3:]:
                check_refused(await client.response())
                assert await end_of(client) == 0.2
            for client in clients[:3]:
                await client.aclose()
            await server.ended.wait()
            assert trio.current_time() == 1.5  # those three
            books = server.books
            assert (books.accepted, books.processed, books.rejected) == (3, 3, 5)
            assert books.waiting == 0


@pytest.mark.parametrize("_", range(8))
async def test_who_gets_its_place_at_the_moment_of_the_stop_has_it_or_not(
    autojump_clock: MockClock, _: int
) -> None:
    with trio.fail_after(100):
        async with running(10, **WAITING) as server:
            client = (await waiting_clients(server, 4))[-1]
            await trio.sleep_until(0.5)  # as the first job ends, so before or after it
            stop(server)
            reply = await client.response()
            if reply.status == 503:
                check_refused(reply)
            await server.ended.wait()
            books = server.books
            assert books.accepted == books.processed == (4 if reply.status == 202 else 3)
            assert books.received == 4


# Whatever the clients do


@pytest.mark.untraced
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("overflow", ["reject", "wait"])
async def test_accepted_is_processed_whatever_the_clients_do(
    overflow: str, seed: int, autojump_clock: MockClock
) -> None:
    random = Random(seed)
    with trio.fail_after(1000):
        async with running(
            10, overflow=overflow, workers=3, capacity=5, work_ms=20, hold_ms=5
        ) as server:
            traffic = await misbehave(
                server,
                random,
                clients=20,
                pause_s=0.02,
                stop_after_s=random.uniform(0.1, 0.5),
                gracefully=True,
            )
            traffic.check(server)
            books = server.books
            assert books.accepted == books.processed > 0
            assert books.abandoned == books.failed == 0
