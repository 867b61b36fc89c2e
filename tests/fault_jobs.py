"""The jobs of one server under faults: each can be hit at work, in its effect, and behind that."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from unittest import mock

import trio
from support import PATIENCE_S

from trio_stages.joblog import JobLog
from trio_stages.state import Entry, PlainBalances
from trio_stages.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trio_stages.options import Settings

T = TypeVar("T")

AT_WORK, IN_EFFECT, BEHIND_EFFECT, HANGS = "at work", "in its effect", "behind its effect", "hangs"


class JobError(Exception):
    """What a job raises that has been hit."""


class Jobs:
    """All jobs of one server.

    Args:
        settings: tell how long jobs work; whoever sleeps exactly that long is a job.

    Attributes:
        failures: how many raised so that they have to count as failed.
        hanging: how many threads wait for ``let_go``.
    """

    def __init__(self, settings: Settings) -> None:
        self.failures = 0
        self.hanging = 0
        self.let_go = threading.Event()
        self._durations = {settings.work_s, settings.hold_s}
        self._at_work: set[trio.CancelScope] = set()
        self._due: Counter[str] = Counter()
        self._lock = threading.Lock()

    def fail_at_work(self) -> None:
        """Those at work raise at their await point; if there are none, the next one does."""
        for scope in self._at_work:
            scope.cancel()
        if not self._at_work:
            self.next_one(AT_WORK)

    def next_one(self, what: str) -> None:
        """The next job to come there raises (or hangs)."""
        with self._lock:
            self._due[what] += 1

    def spare(self) -> None:
        """Nothing happens to jobs that nothing has happened to yet."""
        with self._lock:
            self._due.clear()

    @contextmanager
    def exposed(self) -> Iterator[None]:
        """Make the server's jobs vulnerable while the block runs."""
        with ExitStack() as stack:
            for owner, name, exposed in (
                (trio, "sleep", self._work_in_task(trio.sleep)),
                (Work, "in_thread", self._work_in_thread(Work.in_thread)),
                (Entry, "add", self._unless_due(IN_EFFECT, Entry.add)),
                (PlainBalances, "add", self._unless_due(IN_EFFECT, PlainBalances.add)),
                (JobLog, "job", self._unless_due(BEHIND_EFFECT, JobLog.job)),
            ):
                stack.enter_context(mock.patch.object(owner, name, exposed))
            yield

    def _work_in_task(self, sleep: Callable[[float], Any]) -> Callable[[float], Any]:
        async def exposed(seconds: float) -> None:
            if seconds not in self._durations:
                await sleep(seconds)
                return
            self._raise_if_due(AT_WORK)
            with trio.CancelScope() as scope:
                self._at_work.add(scope)
                try:
                    await sleep(seconds)
                finally:
                    self._at_work.discard(scope)
            if scope.cancelled_caught:
                self._fail(AT_WORK)

        return exposed

    def _work_in_thread(self, in_thread: Callable[[Work, float], None]) -> Callable[..., None]:
        def exposed(work: Work, seconds: float) -> None:
            in_thread(work, seconds)
            self._raise_if_due(AT_WORK)
            if self._take(HANGS):
                with self._lock:
                    self.hanging += 1
                self.let_go.wait(PATIENCE_S)

        return exposed

    def _unless_due(self, what: str, call: Callable[..., T]) -> Callable[..., T]:
        def exposed(*args: Any) -> T:
            self._raise_if_due(what)
            return call(*args)

        return exposed

    def _take(self, what: str) -> bool:
        with self._lock:
            due = self._due[what] > 0
            self._due[what] -= due
            return due

    def _raise_if_due(self, what: str) -> None:
        if self._take(what):
            self._fail(what)

    def _fail(self, what: str) -> None:
        if what != BEHIND_EFFECT:
            with self._lock:
                self.failures += 1
        raise JobError(what)
