"""How fast a backlog goes away: the completions, and the time, while the queue was not empty.

While nobody waits, jobs are done as fast as they come, which says nothing about how fast they could
be done. So only the time with a backlog counts, and a job by the share of its time in hand that
fell into it: one that was begun before there was a backlog does not count whole, nor is one lost
that ends after it. The rate is what ``Retry-After`` divides by.
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
    #: All the time there has been a backlog, less the present one.
    before_s: float = 0.0
    since_s: float | None = None
    seen_s: float = 0.0  # of all that time, by the last completion

    def began(self, now_s: float) -> None:
        self.since_s = now_s

    def ended(self, now_s: float) -> None:
        self.before_s, self.since_s = self.total_s(now_s), None

    def total_s(self, now_s: float) -> float:
        return self.before_s if self.since_s is None else self.before_s + now_s - self.since_s

    def completed(self, taken_s: float, total_then_s: float, now_s: float) -> None:
        total_s, in_hand_s = self.total_s(now_s), now_s - taken_s
        self.completions += (total_s - total_then_s) / in_hand_s if in_hand_s else 1
        self.elapsed_s += total_s - self.seen_s
        self.seen_s = total_s
        if self.elapsed_s > RATE_MEMORY_S:
            self.completions /= 2
            self.elapsed_s /= 2

    def per_s(self) -> float | None:
        return self.completions / self.elapsed_s if self.completions and self.elapsed_s else None
