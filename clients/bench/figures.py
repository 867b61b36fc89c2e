"""The arithmetic of the comparison: medians, spread, and ratios pair by pair.

Machines drift, so a ratio is taken within a round, where both sides stand side by side in time, and
what is quoted is the median of these ratios, with the lowest and the highest.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .generate import Sample


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the lowest and the highest of its values."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """Summarise; None if there are no values."""
        ordered = sorted(values)
        if not ordered:
            return None
        return cls(statistics.median(ordered), ordered[0], ordered[-1])

    def text(self, digits: int = 0) -> str:
        """``median (low to high)``."""
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f} to {self.high:,.{digits}f})"


def figures(samples: Iterable[Sample], server: str, load: str, figure: str) -> dict[int, float]:
    """One figure of one server under one load, by round; where it has none it is left out."""
    return {
        sample.round: value
        for sample in samples
        if sample.server == server
        and sample.load == load
        and (value := getattr(sample, figure)) is not None
    }


def spread(samples: Iterable[Sample], server: str, load: str, figure: str) -> Spread | None:
    """The same, summarised."""
    return Spread.of(figures(samples, server, load, figure).values())


def ratio(over: dict[int, float], under: dict[int, float]) -> Spread | None:
    """``over / under``, round by round; a round that one side lacks, or a 0, does not count."""
    return Spread.of(over[n] / under[n] for n in over.keys() & under.keys() if under[n])


def times(samples: Sequence[Sample], a: str, b: str, load: str) -> Spread | None:
    """How many times as many events per second A accepts as B."""
    return ratio(*(figures(samples, server, load, "accepted_per_s") for server in (a, b)))


def cheaper(samples: Sequence[Sample], a: str, b: str, load: str) -> Spread | None:
    """How many times as much CPU B takes for an accepted event as A."""
    return ratio(*(figures(samples, server, load, "cpu_us") for server in (b, a)))
