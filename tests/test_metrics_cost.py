"""What ``GET /metrics`` costs: rendering once a second, in a thread; and the measuring of the loop.

Time stands still (``mock_clock``) where a real thread renders, so that once a second is exact.
"""

from __future__ import annotations

import errno
import threading
import time
from typing import TYPE_CHECKING

import pytest
import trio
from support import MemoryListener, request, running, settings_of, stage_module
from test_metrics import WITH_METRICS, Cells, metrics_of, recorded_metrics, scrape
from trio.testing import MockClock, wait_all_tasks_blocked
from trio_util import run_and_cancelling

import trio_stages.metrics
from trio_stages.metrics import (
    BUCKET_POWERS,
    FRESH_S,
    LOOK_AWAY_S,
    WATCHED_TURNS,
    LoopLag,
    Metrics,
)
from trio_stages.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import CollectorRegistry

    from trio_stages.histogram import Histogram
    from trio_stages.replies import Reply

# Rendering


class Press:
    """Stands in for ``generate_latest``: counts, and prints when it is let.

    Attributes:
        printed: how often it was asked to.
        threads: in which threads.
        free: while it is not set, printing takes for ever.
        broken: whether printing fails.
    """

    def __init__(self) -> None:
        self.printed = 0
        self.threads: list[threading.Thread] = []
        self.free = threading.Event()
        self.free.set()
        self.broken = False
        self._asked = threading.Event()

    def __call__(self, registry: CollectorRegistry) -> bytes:
        self.printed += 1
        self.threads.append(threading.current_thread())
        self._asked.set()
        assert self.free.wait(20)
        if self.broken:
            raise ZeroDivisionError
        return b"edition %d\n" % self.printed

    async def asked(self) -> None:
        """Return when somebody has come to print."""
        assert await trio.to_thread.run_sync(self._asked.wait, 20)


@pytest.fixture
def press(monkeypatch: pytest.MonkeyPatch) -> Press:
    press = Press()
    monkeypatch.setattr(trio_stages.metrics, "generate_latest", press)
    return press


async def test_rendering_is_done_in_a_thread(press: Press, mock_clock: MockClock) -> None:
    reply = await metrics_of().reply()
    assert reply.body == b"edition 1\n"
    assert press.threads != [threading.current_thread()]


async def test_the_loop_goes_on_meanwhile(press: Press) -> None:
    press.free.clear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(metrics_of().reply)
        await press.asked()
        press.free.set()


async def test_it_is_rendered_once_a_second_at_most(press: Press, mock_clock: MockClock) -> None:
    metrics = metrics_of()
    editions = []
    for _ in range(12):  # three a second
        editions.append((await metrics.reply()).body)
        mock_clock.jump(FRESH_S / 4)
    assert FRESH_S == 1.0
    assert editions == [b"edition %d\n" % number for number in (1, 2, 3) for _ in range(4)]
    assert press.printed == 3


async def test_a_second_counts_from_the_end_of_the_rendering(
    press: Press, mock_clock: MockClock
) -> None:
    """Else a rendering that takes a second would be followed by the next one at once."""
    metrics = metrics_of()
    press.free.clear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(metrics.reply)
        await press.asked()
        mock_clock.jump(5)
        press.free.set()
    mock_clock.jump(0.9)
    assert (await metrics.reply()).body == b"edition 1\n"
    mock_clock.jump(0.2)
    assert (await metrics.reply()).body == b"edition 2\n"


async def gather(metrics: Metrics, replies: list[Reply]) -> None:
    replies.append(await metrics.reply())


async def test_who_asks_at_the_same_time_shares_one_rendering(
    press: Press, mock_clock: MockClock
) -> None:
    metrics = metrics_of()
    replies: list[Reply] = []
    press.free.clear()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(gather, metrics, replies)
        await wait_all_tasks_blocked()
        assert replies == []
        press.free.set()
    assert [reply.body for reply in replies] == [b"edition 1\n"] * 20
    assert press.printed == 1


async def test_a_scrape_that_is_cancelled_does_no_harm(press: Press, mock_clock: MockClock) -> None:
    """The one that renders is waited for; those who wait for it leave at once."""
    metrics = metrics_of()
    replies: list[Reply] = []
    press.free.clear()
    scopes = [trio.CancelScope() for _ in range(3)]

    async def ask(scope: trio.CancelScope) -> None:
        with scope:
            await gather(metrics, replies)

    async with trio.open_nursery() as nursery:
        for scope in scopes:
            nursery.start_soon(ask, scope)
            await wait_all_tasks_blocked()
        await press.asked()
        scopes[0].cancel()
        scopes[1].cancel()
        await wait_all_tasks_blocked()
        assert replies == []
        assert scopes[1].cancelled_caught
        assert not scopes[0].cancelled_caught
        press.free.set()
    assert {reply.body for reply in replies} == {b"edition 1\n"}
    assert press.printed == 1
    assert (await metrics.reply()).body == b"edition 1\n"
    mock_clock.jump(1)
    assert (await metrics.reply()).body == b"edition 2\n"


async def test_a_rendering_that_fails_is_tried_again(press: Press, mock_clock: MockClock) -> None:
    metrics = metrics_of()
    press.broken = True
    with pytest.raises(ZeroDivisionError):
        await metrics.reply()
    press.broken = False
    assert (await metrics.reply()).body == b"edition 2\n"


async def test_a_client_that_leaves_halfway_spoils_nothing(
    press: Press, mock_clock: MockClock
) -> None:
    async with running(9) as server:
        press.free.clear()
        leaving = await server.connect()
        await leaving.send(request("GET", "/metrics", b""))
        await press.asked()
        await leaving.aclose()
        press.free.set()
        async with await server.connect() as client:
            assert (await client.get("/metrics")).body == b"edition 1\n"


async def test_a_stop_halfway_waits_for_the_thread_and_no_longer(
    press: Press, mock_clock: MockClock
) -> None:
    async with running(9) as server:
        press.free.clear()
        async with await server.connect() as client:
            await client.send(request("GET", "/metrics", b""))
            await press.asked()
            server.scope.cancel()
            await wait_all_tasks_blocked()
            press.free.set()


# Loop lag


def block(seconds: float) -> None:
    time.sleep(seconds)  # the wrong sleep


async def test_a_task_that_blocks_the_loop_is_measured() -> None:
    lag = LoopLag()
    async with run_and_cancelling(lag.watch):
        await trio.lowlevel.checkpoint()
        block(0.05)
        await trio.lowlevel.checkpoint()
    assert lag.turns.max >= 0.05
    assert lag.turns.count >= 1


class Stopwatch:
    """A clock that is set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        monkeypatch.setattr(trio_stages.metrics, "perf_counter", lambda: self.now_s)


def recorded(histogram: Histogram) -> tuple[int, float, float]:
    return histogram.count, histogram.total, histogram.max


async def test_a_turn_is_what_lies_between_two_waits_for_io(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = Stopwatch(monkeypatch)
    lag = LoopLag()
    watch.now_s += 0.5
    lag.before_io_wait(0)  # with tasks to run there is nothing to wait for
    watch.now_s += 0.25
    lag.after_io_wait(0)
    lag.before_io_wait(60)
    watch.now_s += 60
    lag.after_io_wait(60)
    watch.now_s += 0.125
    lag.before_io_wait(0)
    assert recorded(lag.turns) == (3, 0.875, 0.5)


async def test_waiting_for_io_is_no_lag_but_looking_for_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = Stopwatch(monkeypatch)
    looks = 0

    class Idle(trio.abc.Instrument):
        def before_io_wait(self, timeout: float) -> None:
            nonlocal looks
            looks += timeout == 0
            watch.now_s += 10 if timeout else 1

    lag, idle = LoopLag(), Idle()
    async with run_and_cancelling(lag.watch):
        await wait_all_tasks_blocked()  # it is the first to be told that a turn has ended
        trio.lowlevel.add_instrument(idle)
        for _ in range(5):
            await trio.lowlevel.checkpoint()
            await trio.sleep(0.001)
        trio.lowlevel.remove_instrument(idle)
    assert watch.now_s >= 150
    assert lag.turns.count >= 9
    assert lag.turns.max == 1
    assert lag.turns.total in (looks, looks - 1)  # the last of them may still be going on


def installed(lag: LoopLag) -> bool:
    try:
        trio.lowlevel.remove_instrument(lag)
    except KeyError:
        return False
    trio.lowlevel.add_instrument(lag)
    return True


async def busy_turns(number: int) -> None:
    for _ in range(number):
        await trio.lowlevel.checkpoint()


async def test_it_looks_away_and_back_again(mock_clock: MockClock) -> None:
    lag = LoopLag()
    async with run_and_cancelling(lag.watch):
        for round_ in range(1, 4):
            await busy_turns(10 * WATCHED_TURNS)
            seen = lag.turns.count
            assert round_ * WATCHED_TURNS <= seen <= round_ * (WATCHED_TURNS + 1)
            mock_clock.jump(LOOK_AWAY_S / 2)
            await busy_turns(10)
            assert lag.turns.count == seen
            mock_clock.jump(LOOK_AWAY_S / 2)


async def test_what_blocks_the_loop_for_longer_is_seen_all_the_same() -> None:
    lag = LoopLag()
    async with run_and_cancelling(lag.watch):
        await busy_turns(WATCHED_TURNS + 5)
        assert not installed(lag)
        block(LOOK_AWAY_S + 0.1)
        await busy_turns(5)
    assert lag.turns.max >= 0.1


async def test_the_instrument_is_there_until_cancelled() -> None:
    lag = LoopLag()
    for turns in (5, WATCHED_TURNS + 5):
        async with run_and_cancelling(lag.watch):
            await busy_turns(turns)
            assert installed(lag) is (turns == 5)
        assert not installed(lag)
    with pytest.RaisesGroup(ZeroDivisionError, allow_unwrapped=True):
        async with run_and_cancelling(lag.watch):
            await busy_turns(5)
            raise ZeroDivisionError
    assert not installed(lag)


class BrokenListener(MemoryListener):
    """The end of a server: an error of its own."""

    async def accept(self) -> trio.abc.Stream:
        raise OSError(errno.EBADF, "no such thing")


@pytest.mark.parametrize("stage", WITH_METRICS)
async def test_a_stage_leaves_no_instrument_behind(
    stage: int, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    made = recorded_metrics(stage, monkeypatch)
    async with running(stage):
        assert installed(made[0].loop_lag)
    assert not installed(made[0].loop_lag)
    telemetry = Telemetry(settings_of(stage, offload="task"), clock=trio.current_time)
    with pytest.RaisesGroup(OSError, flatten_subgroups=True):
        await stage_module(stage).serve(BrokenListener(), telemetry)
    assert len(made) == 2
    assert not installed(made[1].loop_lag)


async def test_a_frozen_loop_shows_in_the_metrics() -> None:
    """Real time: the loop of a real server, frozen for 50 ms more than it may look away."""
    async with running(9, tcp=True) as server:
        block(LOOK_AWAY_S + 0.05)
        await trio.lowlevel.checkpoint()
        cells = Cells((await scrape(server))["trio_stages_event_loop_lag_seconds"])
    cells.check()
    longest = [
        count for bound, count in zip(cells.bounds, cells.counts, strict=True) if bound < 0.05
    ]
    assert cells.count > longest[-1]  # something above 31 ms


def test_buckets_are_where_the_histograms_are_exact() -> None:
    bounds: Sequence[float] = [2.0**power for power in BUCKET_POWERS]
    assert bounds[0] < 20e-6
    assert bounds[-1] == 64.0
