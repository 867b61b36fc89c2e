"""The ledger, step by step: one effect, one count; the rate; what ends a block; the channel."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
import trio
from support import job
from trio.testing import wait_all_tasks_blocked

from trio_stages.handling import BURST, JOBS_A_TURN
from trio_stages.ledger import RATE_MEMORY_S, Job, JobState, Ledger, LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Time that passes when the test says so."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def in_hand(ledger: Ledger, amount: int = 100) -> Job:
    """A job that a worker has just taken."""
    new = job(amount=amount)
    ledger.accept(new)
    ledger.take(new)
    return new


def keep(amount: int) -> int:
    """An effect on nothing."""
    return amount


def counting(effects: Counter[int]) -> Callable[[int], int]:
    """An effect that is seen."""

    def effect(amount: int) -> int:
        effects[amount] += 1
        return amount

    return effect


def put(ledger: Ledger, channel: trio.MemorySendChannel[Job], *jobs: Job) -> None:
    """Accept jobs into a channel as the stages do."""
    for each in jobs:
        channel.send_nowait(each)
        ledger.accept(each)


def send_burst(ledger: Ledger, channel: trio.MemorySendChannel[Job], jobs: int) -> None:
    """In one step, as the stages do: some may go straight to workers."""
    for _ in range(jobs):
        channel.send_nowait(mine := job())
        ledger.accept(mine, handed_over=ledger.idle_workers > 0)


# Effect and count are one step


def test_apply_is_the_effect_and_the_count() -> None:
    ledger, seen = Ledger(), []

    def effect(amount: int) -> int:
        seen.append(amount)
        return 7

    assert ledger.apply(in_hand(ledger, 30), effect) == 7
    assert ledger.apply(in_hand(ledger, -50), effect) == 7
    assert seen == [30, -50]
    books = ledger.statistics()
    assert (books.accepted, books.processed, books.in_hand) == (2, 2, 0)
    assert books.processed_amount == -20


def test_an_effect_that_raises_leaves_everything_as_it_was() -> None:
    ledger = Ledger()
    mine = in_hand(ledger)
    before = ledger.statistics()
    with pytest.raises(ZeroDivisionError):
        ledger.apply(mine, lambda amount: amount // 0)
    assert ledger.statistics() == before
    assert mine.state is JobState.IN_HAND
    assert ledger.apply(mine, keep) == 100  # and the lock is free


@pytest.mark.parametrize("end", ["apply", "fail", "abandon", "seal"])
def test_after_its_end_a_job_is_not_applied(end: str) -> None:
    ledger = Ledger()
    mine = in_hand(ledger)
    ends: dict[str, Callable[[], object]] = {
        "apply": lambda: ledger.apply(mine, keep),
        "fail": lambda: ledger.fail(mine),
        "abandon": lambda: ledger.abandon(mine),
        "seal": ledger.seal,
    }
    ends[end]()
    before, effects = ledger.statistics(), Counter[int]()
    with pytest.raises(LedgerError):
        ledger.apply(mine, counting(effects))
    assert ledger.statistics() == before
    assert not effects


def test_a_sealed_ledger_applies_not_even_what_comes_later() -> None:
    ledger = Ledger()
    ledger.seal()
    late = in_hand(ledger)
    with pytest.raises(LedgerError, match="sealed"):
        ledger.apply(late, keep)
    assert ledger.seal() == 1
    assert ledger.statistics().abandoned == 1


def test_sealing_gives_up_what_is_outstanding_and_nothing_else() -> None:
    ledger = Ledger()
    queued, held, waiting, done = job(), in_hand(ledger), job(), in_hand(ledger)
    ledger.accept(queued)
    ledger.wait(waiting)
    ledger.apply(done, keep)
    assert ledger.seal() == 2
    states = (queued.state, held.state, waiting.state, done.state)
    assert [state.name for state in states] == ["ABANDONED", "ABANDONED", "WAITING", "PROCESSED"]
    assert ledger.seal() == 0


def test_an_event_done_with_at_once() -> None:
    ledger = Ledger()
    ledger.processed_at_once()
    ledger.invalid()
    ledger.http_error()
    books = ledger.statistics()
    assert (books.received, books.accepted, books.processed) == (2, 1, 1)
    assert (books.invalid, books.http_errors) == (1, 1)


def test_a_job_told_off_cannot_be_accepted() -> None:
    ledger, refused = Ledger(), job()
    ledger.reject(refused)
    with pytest.raises(LedgerError):
        ledger.accept(refused)
    assert ledger.statistics().accepted == 0


def test_a_worker_may_be_faster_than_the_sender_wakes_up() -> None:
    """With ``--overflow wait``; whatever the worker has made of the job, its sender agrees."""
    ledger = Ledger()
    taken, applied = job(), job()
    for each in (taken, applied):
        ledger.wait(each)
        ledger.take(each)
        ledger.take(each)  # and taking it again, as from a sender's hand, is nothing new
    ledger.apply(applied, keep)
    before = ledger.statistics()
    ledger.accept(taken)
    ledger.accept(applied)
    assert ledger.statistics() == before
    assert (before.accepted, before.waiting, before.in_hand, before.processed) == (2, 0, 1, 1)


# The drain rate: completions under a backlog, over the time with one


class Shop:
    """A ledger, a clock, and jobs that go through by the figure."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.ledger = Ledger(self.clock)
        self.queue: list[Job] = []

    def arrive(self, jobs: int) -> None:
        for _ in range(jobs):
            self.queue.append(job())
            self.ledger.accept(self.queue[-1])

    def work(self, jobs: int, each_s: float, workers: int = 1) -> None:
        """Take so many jobs at once, spend the time, finish them; and so on."""
        while jobs > 0:
            held = [self.queue.pop(0) for _ in range(min(workers, jobs))]
            jobs -= len(held)
            for each in held:
                self.ledger.take(each)
            self.clock.now_s += each_s
            for each in held:
                self.ledger.apply(each, keep)

    @property
    def rate_per_s(self) -> float | None:
        return self.ledger.drain_rate_per_s()


def test_no_rate_before_a_backlog() -> None:
    shop = Shop()
    assert shop.rate_per_s is None
    for _ in range(3):  # each comes to an idle worker
        shop.arrive(1)
        shop.work(1, each_s=0.5)
    assert shop.rate_per_s is None


@pytest.mark.parametrize(("workers", "rate_per_s"), [(1, 2.0), (4, 8.0), (16, 32.0)])
def test_the_rate_of_a_backlog_is_exact(workers: int, rate_per_s: float) -> None:
    shop = Shop()
    shop.arrive(workers * 6)
    shop.work(workers * 5, each_s=0.5, workers=workers)
    assert shop.rate_per_s == rate_per_s


@pytest.mark.parametrize("jobs", range(9, 17))
def test_the_rate_of_a_short_backlog_is_exact_too(jobs: int) -> None:
    """Whatever a last wave of the four workers leaves idle."""
    shop = Shop()
    for _ in range(3):
        shop.arrive(jobs)
        shop.work(jobs, each_s=0.5, workers=4)
        shop.clock.now_s += 1000
    assert shop.rate_per_s == 8.0


def test_idle_time_does_not_count() -> None:
    shop = Shop()
    for _ in range(2):
        shop.arrive(5)
        shop.work(5, each_s=0.5)
        shop.clock.now_s += 1000
    # the fifth job is finished when nothing is queued any more: 4 in 2.0 s, twice
    assert shop.rate_per_s == 2.0


def test_a_job_that_was_begun_before_the_backlog_counts_in_part() -> None:
    shop = Shop()
    shop.arrive(1)
    for _ in range(20):  # the next one comes shortly before this one is done
        held = shop.queue.pop(0)
        shop.ledger.take(held)
        shop.clock.now_s += 0.45
        shop.arrive(1)
        shop.clock.now_s += 0.05
        shop.ledger.apply(held, keep)
    assert shop.rate_per_s == pytest.approx(2.0)


def test_jobs_that_end_otherwise_are_no_completions_but_their_time_counts() -> None:
    shop = Shop()
    shop.arrive(4)
    shop.work(1, each_s=0.5)
    failing = shop.queue.pop(0)
    shop.ledger.take(failing)
    shop.clock.now_s += 1.0
    shop.ledger.fail(failing)
    shop.work(1, each_s=0.5)
    assert shop.rate_per_s == 2 / 2.0
    shop.ledger.abandon(shop.queue.pop())  # the last in the queue: the backlog ends with it
    shop.clock.now_s += 1000
    assert shop.rate_per_s == 2 / 2.0


def test_jobs_in_no_time_have_no_rate() -> None:
    shop = Shop()
    shop.arrive(3)
    shop.work(2, each_s=0)
    assert shop.rate_per_s is None


def test_the_rate_forgets() -> None:
    shop = Shop()
    shop.arrive(100)
    shop.work(11, each_s=1.0)  # 11 in 11 s, then half of both is forgotten
    assert RATE_MEMORY_S == 10
    assert shop.rate_per_s == 1.0
    shop.work(11, each_s=0.5)  # 5.5 + 10 in 5.5 + 5.0 s: over 10 s, half forgotten; and one more
    assert shop.rate_per_s == 8.75 / 5.75


def test_the_delay_in_the_queue_is_measured_on_taking() -> None:
    shop = Shop()
    shop.arrive(3)
    shop.work(3, each_s=0.5)
    delay = shop.ledger.queue_delay.statistics()
    assert (delay.count, delay.total, delay.max) == (3, 0.0 + 0.5 + 1.0, 1.0)


# What ends a block


def test_a_job_that_raises_is_failed_and_logged_and_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger = Ledger()
    mine = in_hand(ledger)
    with ledger.settling(mine):
        raise ZeroDivisionError("its own fault")
    books = ledger.statistics()
    assert (books.failed, books.in_hand) == (1, 0)
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage() == "job failed: user='alice' amount=100"
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


async def test_a_cancelled_job_is_abandoned_and_the_cancellation_goes_on() -> None:
    ledger = Ledger()
    mine = in_hand(ledger)
    with trio.CancelScope() as scope:
        scope.cancel()
        with ledger.settling(mine):
            await trio.sleep_forever()
    assert scope.cancelled_caught
    books = ledger.statistics()
    assert (books.abandoned, books.failed, books.in_hand) == (1, 0, 0)


def test_a_job_put_down_is_failed(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger()
    with ledger.settling(in_hand(ledger)):
        pass
    assert ledger.statistics().failed == 1
    assert "put down" in str(caplog.records[0].exc_info)


@pytest.mark.parametrize("raised", [ZeroDivisionError, KeyboardInterrupt, None])
def test_what_comes_after_the_effect_does_not_undo_it(
    raised: type[BaseException] | None, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger()
    mine = in_hand(ledger)
    caught = None
    try:
        with ledger.settling(mine):
            ledger.apply(mine, keep)
            if raised:
                raise raised
    except KeyboardInterrupt as error:
        caught = type(error)
    books = ledger.statistics()
    assert (books.processed, books.failed, books.abandoned) == (1, 0, 0)
    assert caught is (KeyboardInterrupt if raised is KeyboardInterrupt else None)
    assert len(caplog.records) == (raised is ZeroDivisionError)


def test_a_job_given_up_meanwhile_is_not_settled_twice(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger()
    mine = in_hand(ledger)
    with ledger.settling(mine):
        ledger.seal()
        ledger.apply(mine, keep)
    books = ledger.statistics()
    assert (books.processed, books.failed, books.abandoned) == (0, 0, 1)
    assert "sealed" in str(caplog.records[0].exc_info)


# The channel


@pytest.mark.parametrize("sender", ["open", "closed"])
async def test_what_is_left_in_the_channel_is_counted_one_by_one(sender: str) -> None:
    ledger = Ledger()
    send, receive = trio.open_memory_channel[Job](10)
    with ledger.dropping(receive):
        put(ledger, send, job(), job(), job())
        unknown = job()  # in the channel before its sender could say so
        send.send_nowait(unknown)
        ledger.take(await receive.receive())
        if sender == "closed":
            send.close()
    books = ledger.statistics()
    assert (books.accepted, books.abandoned, books.queued, books.in_hand) == (4, 3, 0, 1)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_it_is_counted_too_when_an_error_leaves_the_block(error: type[BaseException]) -> None:
    ledger = Ledger()
    send, receive = trio.open_memory_channel[Job](10)
    put(ledger, send, job(), job())
    with pytest.raises(error), ledger.dropping(receive):
        raise error
    assert ledger.statistics().abandoned == 2


def test_what_the_seal_has_given_up_is_not_given_up_again() -> None:
    """A thread comes back after all, the server ends, and finds the queue as it was."""
    ledger = Ledger()
    send, receive = trio.open_memory_channel[Job](10)
    held = in_hand(ledger)
    with ledger.dropping(receive), ledger.settling(held):
        put(ledger, send, job(), job())
        assert ledger.seal() == 3
        raise ZeroDivisionError
    assert ledger.statistics().abandoned == 3


async def test_a_job_leaves_the_queue_in_the_step_in_which_it_is_taken() -> None:
    """Else a sender could fill its place while it still counts as queued."""
    ledger = Ledger()
    send, receive = trio.open_memory_channel[Job](2)
    put(ledger, send, job(), job())
    seen = []

    async def fill() -> None:
        for _ in range(20):
            if send.statistics().current_buffer_used < 2:
                put(ledger, send, job())
            seen.append(ledger.queued)
            await trio.lowlevel.checkpoint()
        send.close()

    async def work() -> None:
        async for mine in ledger.taking(receive):
            seen.append(ledger.queued)
            await trio.lowlevel.checkpoint()
            ledger.apply(mine, keep)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fill)
            nursery.start_soon(work)
    assert max(seen) == 2
    assert ledger.statistics().processed == ledger.statistics().accepted > 10


async def test_a_waiting_worker_takes_from_the_hand(nursery: trio.Nursery) -> None:
    ledger = Ledger()
    send, receive = trio.open_memory_channel[Job](0)
    taken = []

    async def work() -> None:
        async for mine in ledger.taking(receive):
            taken.append(mine)

    nursery.start_soon(work)
    await wait_all_tasks_blocked()
    mine = job()
    send.send_nowait(mine)
    ledger.accept(mine, handed_over=True)
    assert ledger.statistics().in_hand == 1  # at once, before the worker has run
    assert ledger.worked_on() == 0
    await wait_all_tasks_blocked()
    assert taken == [mine]
    assert ledger.statistics().in_hand == 1
    assert ledger.worked_on() == 1
    nursery.cancel_scope.cancel()


async def test_an_idle_worker_counts_itself_off_if_the_sender_does_not(
    nursery: trio.Nursery,
) -> None:
    ledger, over = Ledger(), trio.Event()
    send, receive = trio.open_memory_channel[Job](1)
    at_work(nursery, ledger, receive, over)
    await wait_all_tasks_blocked()
    assert ledger.idle_workers == 8
    put(ledger, send, job())
    assert ledger.queued == 1
    await wait_all_tasks_blocked()
    assert (ledger.idle_workers, ledger.queued, ledger.worked_on()) == (7, 0, 1)
    nursery.cancel_scope.cancel()


def at_work(
    nursery: trio.Nursery, ledger: Ledger, jobs: trio.MemoryReceiveChannel[Job], over: trio.Event
) -> list[int]:
    """Start eight workers, whose jobs last until it is over; the list is of who has had which."""
    hands: list[int] = []

    async def work(number: int, jobs: trio.MemoryReceiveChannel[Job]) -> None:
        async for mine in ledger.taking(jobs):
            hands.append(number)
            if not over.is_set():
                await over.wait()
            ledger.apply(mine, keep)

    for number in range(8):
        nursery.start_soon(work, number, jobs.clone())
    return hands


# Eight workers' clones, and the one that they are clones of.
LONG = BURST + 3 * 9


async def test_a_burst_of_jobs_without_work_wakes_few_workers(nursery: trio.Nursery) -> None:
    ledger, over = Ledger(), trio.Event()
    send, receive = trio.open_memory_channel[Job](LONG)
    over.set()
    hands = at_work(nursery, ledger, receive, over)
    for _ in range(3):
        await wait_all_tasks_blocked()
        assert ledger.idle_workers == 1
        send_burst(ledger, send, 2 * JOBS_A_TURN)
    await wait_all_tasks_blocked()
    assert ledger.statistics().processed == 6 * JOBS_A_TURN
    # Of each burst the first waited for it, the second came forward, and found the rest.
    assert all(count > 1 for count in Counter(hands).values())
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("places", [LONG - 1, LONG])
async def test_a_burst_of_jobs_with_work_has_all_workers(
    places: int, nursery: trio.Nursery
) -> None:
    ledger, over = Ledger(), trio.Event()
    send, receive = trio.open_memory_channel[Job](places)
    hands = at_work(nursery, ledger, receive, over)
    await wait_all_tasks_blocked()
    assert ledger.idle_workers == (8 if places < LONG else 1)
    send_burst(ledger, send, 9)
    await wait_all_tasks_blocked()
    assert sorted(hands) == [*range(8)]
    assert (ledger.statistics().in_hand, ledger.queued) == (8, 1)
    over.set()
    await wait_all_tasks_blocked()
    assert ledger.statistics().processed == 9
    nursery.cancel_scope.cancel()


async def test_behind_a_small_queue_every_idle_worker_is_a_place_more(
    nursery: trio.Nursery,
) -> None:
    ledger, over = Ledger(), trio.Event()
    send, receive = trio.open_memory_channel[Job](3)
    at_work(nursery, ledger, receive, over)
    await wait_all_tasks_blocked()
    send_burst(ledger, send, 3 + 8)  # in one step, before any of them has run
    with pytest.raises(trio.WouldBlock):
        send.send_nowait(job())
    nursery.cancel_scope.cancel()


async def test_who_stands_in_line_goes_home_with_the_channel_or_when_cancelled() -> None:
    ledger, over = Ledger(), trio.Event()
    send, receive = trio.open_memory_channel[Job](LONG)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            at_work(nursery, ledger, receive, over)
            await wait_all_tasks_blocked()
            send.close()
        again, receive = trio.open_memory_channel[Job](LONG)
        async with trio.open_nursery() as nursery:
            hands = at_work(nursery, ledger, receive, over)
            await wait_all_tasks_blocked()
            again.send_nowait(mine := job())
            ledger.accept(mine, handed_over=True)
            nursery.cancel_scope.cancel()
    assert ledger.idle_workers == 0
    assert not ledger.line.locked()
    assert len(hands) == 1


@pytest.mark.parametrize("places", [5, LONG])
async def test_what_is_sent_while_the_idle_workers_are_being_cancelled_has_no_hand(
    places: int,
) -> None:
    ledger, over = Ledger(), trio.Event()
    send, receive = trio.open_memory_channel[Job](places)
    with ledger.dropping(receive):
        async with trio.open_nursery() as nursery:
            at_work(nursery, ledger, receive, over)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            send_burst(ledger, send, 3)
    assert (ledger.idle_workers, ledger.handed_over, ledger.worked_on()) == (0, 0, 0)
    assert ledger.statistics().abandoned == ledger.statistics().accepted == 3


@pytest.mark.parametrize("jobs", [0, 2])
async def test_taking_ends_with_the_channel(jobs: int) -> None:
    ledger = Ledger()
    send, receive = trio.open_memory_channel[Job](10)
    put(ledger, send, *(job() for _ in range(jobs)))
    send.close()
    assert len([each async for each in ledger.taking(receive)]) == jobs


async def test_taking_ends_when_the_channel_closes_meanwhile(nursery: trio.Nursery) -> None:
    ledger = Ledger()
    send, receive = trio.open_memory_channel[Job](10)
    ended = trio.Event()

    async def work() -> None:
        async for _ in ledger.taking(receive):
            raise AssertionError("there was none")
        ended.set()

    nursery.start_soon(work)
    await wait_all_tasks_blocked()
    send.close()
    with trio.fail_after(5):
        await ended.wait()


async def test_a_cancelled_worker_takes_nothing() -> None:
    ledger = Ledger()
    send, receive = trio.open_memory_channel[Job](10)
    put(ledger, send, job())
    with trio.CancelScope() as scope:
        scope.cancel()
        async for _ in ledger.taking(receive):
            raise AssertionError("it was cancelled")
    assert ledger.queued == receive.statistics().current_buffer_used == 1
