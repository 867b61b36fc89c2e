"""The ledger under threads: also where a step is made of several lines, it is one step."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest
from support import PATIENCE_S, broken_rules, job
from test_ledger import counting, in_hand

from trio_stages import ledger as ledger_module
from trio_stages.ledger import Ledger, LedgerError, LedgerStatistics

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    TraceFunction = Callable[[FrameType, str, object], "TraceFunction | None"]

pytestmark = pytest.mark.untraced


def stumbling(target: Callable[[], None]) -> threading.Thread:
    """A thread that lets another one go ahead before each line of the ledger.

    With the interpreter's lock, threads change places at few points of a program, and a step that
    nobody guards may seem whole for years.
    """

    def trace(frame: FrameType, what: str, _: object) -> TraceFunction | None:
        if frame.f_code.co_filename != ledger_module.__file__:
            return None
        if what == "line":
            time.sleep(1e-6)
        return trace

    def run() -> None:
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            target()
        finally:
            sys.settrace(before)

    return threading.Thread(target=run)


def test_many_threads_and_every_snapshot_obeys_the_rules() -> None:
    ledger, balances = Ledger(), Counter[str]()
    threads, jobs_each = 4, 60
    snapshots, problems = 0, []
    finished = threading.Event()

    def effect(user: str, amount: int) -> int:
        balances[user] = balances[user] + amount  # two steps: only the ledger's lock makes it one
        return balances[user]

    def hammer(number: int) -> None:
        for n in range(jobs_each):
            mine = job(f"user{n % 3}", amount=n)
            match (n + number) % 6:
                case 0:
                    ledger.wait(mine)
                    ledger.reject(mine)
                case 1:
                    ledger.invalid()
                case 2:
                    ledger.accept(mine)
                    ledger.abandon(mine)
                case 3:
                    ledger.accept(mine, handed_over=True)
                    ledger.fail(mine)
                case _:
                    ledger.wait(mine)
                    ledger.accept(mine)
                    ledger.take(mine)
                    ledger.apply(mine, partial(effect, mine.event.user))

    def read() -> None:
        nonlocal snapshots
        while not finished.is_set():
            problems.extend(broken_rules(ledger.statistics()))
            snapshots += 1

    reader = stumbling(read)
    hammers = [stumbling(partial(hammer, number)) for number in range(threads)]
    for thread in (reader, *hammers):
        thread.start()
    for thread in hammers:
        thread.join()
    finished.set()
    reader.join()
    assert not problems, problems[:3]
    assert snapshots > 10
    books = ledger.statistics()
    assert (books.queued, books.in_hand, books.waiting) == (0, 0, 0)
    sixth = threads * jobs_each // 6
    assert (books.rejected, books.invalid, books.abandoned, books.failed) == (sixth,) * 4
    assert books.processed == 2 * sixth
    assert sum(balances.values()) == books.processed_amount


def test_of_many_threads_one_applies_a_job() -> None:
    ledger, effects = Ledger(), Counter[int]()
    threads = 4
    jobs = [in_hand(ledger, amount=n) for n in range(50)]
    start = threading.Barrier(threads)

    def race() -> None:
        start.wait()
        for mine in jobs:
            with Either():
                ledger.apply(mine, counting(effects))

    racers = [stumbling(race) for _ in range(threads)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert effects == Counter(range(50))
    assert ledger.statistics().processed == 50


class Either:
    """A block that succeeds or comes second."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is LedgerError


@pytest.mark.parametrize("lines_later", range(12))
def test_nothing_is_applied_behind_a_seal(lines_later: int) -> None:
    """Wherever in its step the seal may find a worker."""
    ledger, effects = Ledger(), Counter[int]()
    jobs = [in_hand(ledger, amount=n) for n in range(40)]
    underway, sealed = threading.Event(), threading.Event()
    given_up: list[int] = []
    seen: list[tuple[Counter[int], LedgerStatistics]] = []

    def work() -> None:
        *most, last = jobs
        for mine in most:
            with Either():
                ledger.apply(mine, counting(effects))
            if effects.total() >= 10:
                underway.set()
        sealed.wait(PATIENCE_S)  # so that there is one for the seal to give up, however late it is
        with Either():
            ledger.apply(last, counting(effects))

    def seal() -> None:
        underway.wait(PATIENCE_S)
        for _ in range(lines_later):
            assert not ledger.queued
        given_up.append(ledger.seal())
        sealed.set()
        seen.append((effects.copy(), ledger.statistics()))

    threads = [stumbling(work), stumbling(work), stumbling(seal)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ((applied, books),) = seen
    assert effects == applied
    assert ledger.statistics() == books
    assert (books.processed, [books.abandoned]) == (applied.total(), given_up)
    assert books.processed + books.abandoned == 40
    assert books.abandoned > 0
