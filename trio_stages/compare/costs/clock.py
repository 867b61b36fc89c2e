"""What is timed of an operation: not its preparation, and not the end of the event loop."""

from __future__ import annotations

import time

#: What must be true of an operation whatever it took: ``{"tasks left": 0}``.
Facts = dict[str, int]


class Clock:
    """Started and stopped once by an operation.

    Attributes:
        wall_s: seconds between the two.
        cpu_s: seconds of CPU that the process, all its threads together, used between the two.
    """

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = 0.0
        self._start_s = (0.0, 0.0)

    def start(self) -> None:
        """The preparation is over."""
        self._start_s = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        """All of it has happened."""
        self.cpu_s = time.process_time() - self._start_s[1]
        self.wall_s = time.perf_counter() - self._start_s[0]
