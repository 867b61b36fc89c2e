"""What happened, and when: written down by all threads, waited for by scripts.

Rules:

1. An event is in the record before anything that follows from it can happen: whoever waits for an
   event may rely on it.
2. Waiting always has an end, and says whether the event came: that something does NOT happen is a
   result too.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .results import CANCEL, MARK, START, STOP, Event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

# For what comes at once unless the machine is very busy.
PATIENCE_S = 10.0


class Recorder:
    """The record of one cell."""

    def __init__(self) -> None:
        self._zero_s = time.monotonic()
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._names: Counter[str] = Counter()

    def now_s(self) -> float:
        """Seconds since the record began."""
        return time.monotonic() - self._zero_s

    def event(self, kind: str, lane: str, label: str = "", *, at_s: float | None = None) -> None:
        """Write down that something happens now (or did, or will, at a known time)."""
        with self._changed:
            at_s = self.now_s() if at_s is None else at_s
            self._events.append(Event(at_s=round(at_s, 6), kind=kind, lane=lane, label=label))
            self._changed.notify_all()

    def mark(self, lane: str, label: str) -> None:
        """Write down a moment."""
        self.event(MARK, lane, label)

    @contextmanager
    def bar(self, lane: str, label: str = "", *, numbered: bool = False) -> Iterator[str]:
        """Write down the beginning and the end of what happens in the block.

        Args:
            lane: the second one of a name gets a number, if ``numbered``.
            label: what it is called.

        Yields:
            The lane's name.
        """
        if numbered:
            with self._changed:
                self._names[lane] += 1
                lane = f"{lane} {self._names[lane]}"
        self.event(START, lane, label)
        try:
            yield lane
        except BaseException as error:
            if not isinstance(error, Exception):
                self.event(CANCEL, lane, type(error).__name__)
            raise
        finally:
            self.event(STOP, lane, label)

    def events(self) -> tuple[Event, ...]:
        """The record so far, in order of time."""
        with self._changed:
            return tuple(sorted(self._events, key=lambda event: event.at_s))

    def count(self, kind: str, lane: str, label: str | None = None) -> int:
        """How often it happened; a lane stands also for those whose names begin with it."""
        return sum(
            event.kind == kind and event.lane.startswith(lane) and label in (None, event.label)
            for event in self._events
        )

    def open(self, lane: str) -> int:
        """How many bars in these lanes have begun and not ended."""
        with self._changed:
            return self.count(START, lane) - self.count(STOP, lane)

    def wait(
        self,
        kind: str,
        lane: str,
        label: str | None = None,
        *,
        times: int = 1,
        timeout_s: float = PATIENCE_S,
    ) -> bool:
        """Block until it has happened so often; return whether it has."""
        return self.wait_until(lambda: self.count(kind, lane, label) >= times, timeout_s)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> bool:
        """Block until an event makes this true; return whether one has."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)


class Traced:
    """A lock of any library, that writes down when it is held."""

    def __init__(
        self, lock: AbstractAsyncContextManager[object], lane: str, recorder: Recorder
    ) -> None:
        self._lock = lock
        self._lane = lane
        self._recorder = recorder

    async def __aenter__(self) -> None:
        await self._lock.__aenter__()
        self._recorder.event(START, self._lane, "held")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._recorder.event(STOP, self._lane, "held")
        await self._lock.__aexit__(kind, error, traceback)
