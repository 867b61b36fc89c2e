"""Timeouts of many clients, kept by one task.

A connection moves its deadline for each request, and nearly always nothing comes of it: the client
is in time. Moving the deadline of a ``trio.CancelScope`` costs two microseconds, for it has to find
its place among all deadlines of the process. Here moving one later is an assignment: the heap holds
when to look at a timeout next, which is never too late, and whoever turns out to have more time by
then gets a new place. So a connection that is busy for hours costs the heap one step a minute.

(Old ideas of event loops. libev's manual has the lazy move under "Be smart about timeouts"; asyncio
clears its heap like this once most of its timers are cancelled.)
"""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

# Of closed connections, before the heap is cleared of them.
MOST_CLOSED = 1000


class Timeouts:
    """Who has to be in time, in one Trio run; ``watch`` has to be running."""

    def __init__(self) -> None:
        #: Seconds, of the run that this was made in.
        self.clock = trio.lowlevel.current_clock().current_time
        # When to look at it, a number because two timeouts cannot be compared, and the timeout.
        self._heap: list[tuple[float, int, Timeout]] = []
        self._numbers = count()
        self._closed = 0
        self._sleep = trio.CancelScope()

    async def watch(self) -> None:
        """Tell whoever is not in time, until cancelled."""
        heap = self._heap
        while True:
            with trio.CancelScope(deadline=heap[0][0] if heap else math.inf) as self._sleep:
                await trio.sleep_forever()
            now_s = self.clock()
            while heap and heap[0][0] <= now_s:
                look_at_s, _, timeout = heappop(heap)
                if look_at_s == timeout.look_at_s:  # not replaced by an earlier one
                    timeout.look_at_s = math.inf
                    self._look_at(timeout, now_s)

    def _look_at(self, timeout: Timeout, now_s: float) -> None:
        if timeout.is_closed:
            self._closed -= 1
        elif timeout.due_s <= now_s:
            timeout.due_s = math.inf
            timeout.passed()
        elif timeout.due_s < math.inf:
            self.enter(timeout)

    def enter(self, timeout: Timeout) -> None:
        """Look at it when it is due."""
        timeout.look_at_s = due_s = timeout.due_s
        heappush(self._heap, (due_s, next(self._numbers), timeout))
        if due_s < self._sleep.deadline:
            self._sleep.deadline = due_s

    def leave(self) -> None:
        """One more of those in the heap is closed."""
        self._closed += 1
        if self._closed > max(MOST_CLOSED, len(self._heap) // 2):
            self._heap[:] = [entry for entry in self._heap if not entry[2].is_closed]
            heapify(self._heap)
            self._closed = 0


class Timeout:
    """The timeout of one client, if it has one at the moment.

    Args:
        timeouts: those of all.
        passed: called when the time is up, once for each ``set``.
    """

    __slots__ = ("_clock", "_timeouts", "due_s", "is_closed", "look_at_s", "passed")

    def __init__(self, timeouts: Timeouts, passed: Callable[[], None]) -> None:
        self._timeouts = timeouts
        self._clock = timeouts.clock
        self.passed = passed
        self.is_closed = False
        #: When the time is up.
        self.due_s = math.inf
        #: Its place in the heap, never later than that.
        self.look_at_s = math.inf

    def set(self, seconds: float) -> None:
        """The time is up in so many seconds, instead of whenever it was before."""
        self.due_s = due_s = self._clock() + seconds
        if due_s < self.look_at_s:
            self._timeouts.enter(self)

    def clear(self) -> None:
        """There is no hurry."""
        self.due_s = math.inf

    def close(self) -> None:
        """There will never be any again."""
        self.is_closed = True
        del self.passed  # whatever hangs by it need not wait for its place in the heap to come up
        if self.look_at_s < math.inf:
            self._timeouts.leave()
