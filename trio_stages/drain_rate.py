"""How fast a backlog goes away: the completions, and the time, while the queue was not empty.

While nobody waits, jobs are done as fast as they come, which says nothing about how fast they could
be done. So only the time with a backlog counts, and the rate is what ``Retry-After`` divides by.

A job that was begun before the backlog has only a part of its time in it. So its completion does
not count, and the time up to it neither.
"""

from __future__ import annotations

from dataclasses import dataclass

# The measured drain rate forgets: after this much time under backlog, half of it no longer counts.
RATE_MEMORY_S = 10.0


@dataclass(slots=True)
class DrainRate:
    """Completions per second of backlog; the ledger holds its lock around every call."""

    completions: float = 0.0
    elapsed_s: float = 0.0
    began_s: float = 0.0
    since_s: float | None = None

    def began(self, now_s: float) -> None:
        self.began_s = self.since_s = now_s

    def ended(self, now_s: float) -> None:
        assert self.since_s is not None
        self.elapsed_s += now_s - self.since_s
        self.since_s = None

    def broken_off(self) -> None:
        self.since_s = None  # what was dropped says nothing about how fast jobs are done

    def completed(self, taken_s: float, now_s: float) -> None:
        assert self.since_s is not None
        if taken_s >= self.began_s:
            self.completions += 1
            self.elapsed_s += now_s - self.since_s
        self.since_s = now_s
        if self.elapsed_s > RATE_MEMORY_S:
            self.completions /= 2
            self.elapsed_s /= 2

    def per_s(self) -> float | None:
        return self.completions / self.elapsed_s if self.completions and self.elapsed_s else None
