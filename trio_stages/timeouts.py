"""Timeouts of many clients, kept by one task.

A connection moves its deadline several times for each request, and nearly always nothing comes of
it: the client is in time. Moving the deadline of a ``trio.CancelScope`` costs two microseconds, for
it has to find its place among all deadlines of the process. But those of our clients come in a few
lengths (for a header, a body, an idle connection), and of all that have the same length the first
to be set is the first to pass. So for each length there is a line: who gets a new timeout joins it
at its end, and only the heads of the lines are ever looked at.

(An old idea of event loops: libev's manual has it under "Be smart about timeouts".)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable


class Timeouts:
    """Who has to be in time, in one Trio run; ``watch`` has to be running."""

    def __init__(self) -> None:
        #: By length in seconds: who is to be in time, and when it is up; the next one first.
        self._lines: dict[float, dict[Timeout, float]] = {}
        self._wakes_at_s = math.inf
        self._sleep = trio.CancelScope()

    async def watch(self) -> None:
        """Tell whoever is not in time, until cancelled."""
        while True:
            with trio.CancelScope(deadline=self._wakes_at_s) as self._sleep:
                await trio.sleep_forever()
            now_s = trio.current_time()
            for line in list(self._lines.values()):
                while line:
                    timeout, due_s = next(iter(line.items()))
                    if due_s > now_s:
                        break
                    timeout.clear()
                    timeout.passed()
            heads = (next(iter(line.values())) for line in self._lines.values() if line)
            self._wakes_at_s = min(heads, default=math.inf)

    def join(self, timeout: Timeout, seconds: float) -> dict[Timeout, float]:
        """Put it at the end of the line of its length, and return that line."""
        line = self._lines.get(seconds)
        if line is None:
            line = self._lines[seconds] = {}
        line[timeout] = due_s = trio.current_time() + seconds
        if due_s < self._wakes_at_s:
            self._wakes_at_s = self._sleep.deadline = due_s
        return line


class Timeout:
    """The timeout of one client, if it has one at the moment.

    Args:
        timeouts: those of all.
        passed: called when the time is up, once.
    """

    __slots__ = ("_line", "_timeouts", "passed")

    def __init__(self, timeouts: Timeouts, passed: Callable[[], None]) -> None:
        self._timeouts = timeouts
        self._line: dict[Timeout, float] | None = None
        self.passed = passed

    def set(self, seconds: float) -> None:
        """The time is up in so many seconds, instead of whenever it was before."""
        if self._line is not None:
            del self._line[self]
        self._line = self._timeouts.join(self, seconds)

    def clear(self) -> None:
        """There is no hurry."""
        if self._line is not None:
            del self._line[self]
            self._line = None
