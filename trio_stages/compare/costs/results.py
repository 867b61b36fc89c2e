"""What a measurement of costs leaves behind, and what may be concluded from it.

Rules:

1. A machine drifts, so columns are compared within a round, where they ran side by side in time;
   what is quoted is the median of those ratios, with the least and the most of them.
2. What is compared is CPU time, of all threads of the process: what else the machine is doing
   lengthens every wait, and disturbs this the least.
3. Somebody is ahead only if it was so in every round, and by more than ``MARGIN``.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from .operations import BY_NAME, OPERATIONS, Operation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Nearer to 1 than this, and neither is ahead; wherever rounds disagree, neither is anyhow.
MARGIN = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """One operation in one column, round by round.

    Attributes:
        operation: its name in ``operations``.
        column: one of the comparison's.
        count: how often it was done in each run; less than was asked for where the limit on
            descriptors did not allow it.
        cpu_s: seconds of CPU a run; None for one that failed or was not over in time.
        wall_s: seconds by the clock that the same span took.
        facts: what was counted at the end of the worst run, such as ``tasks left``.
    """

    operation: str
    column: str
    count: int
    cpu_s: tuple[float | None, ...]
    wall_s: tuple[float | None, ...]
    facts: Mapping[str, int] = field(default_factory=dict)

    @property
    def figures(self) -> tuple[float, ...]:
        """Those of the runs that ended, in the operation's unit."""
        figure = BY_NAME[self.operation].figure
        return tuple(figure(cpu_s, self.count) for cpu_s in self.cpu_s if cpu_s is not None)

    @property
    def median(self) -> float | None:
        """The middle of them; None if no run ended."""
        return statistics.median(self.figures) if self.figures else None


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast as Trio a column was, over the rounds."""

    median: float
    least: float
    most: float

    @property
    def ahead(self) -> bool | None:
        """Whether the column is ahead of Trio; None: neither is."""
        if self.least > 1 + MARGIN:
            return True
        if self.most < 1 / (1 + MARGIN):
            return False
        return None

    def __str__(self) -> str:
        return f"{_two(self.median)} ({_two(self.least)}–{_two(self.most)})"


def _two(ratio: float) -> str:
    """Two digits that count."""
    return f"{ratio:.{0 if ratio >= 10 else 1 if ratio >= 1 else 2}f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """A measurement on one interpreter.

    Attributes:
        stamp: on what it was made, see ``trio_stages.report.machine``.
        rounds: how many, each with every column side by side.
        runs: in the order of ``operations``.
    """

    stamp: Mapping[str, str]
    rounds: int
    runs: tuple[Runs, ...]

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Those that were measured."""
        measured = {runs.operation for runs in self.runs}
        return tuple(operation for operation in OPERATIONS if operation.name in measured)

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that were measured, in the order of the comparison."""
        return tuple(dict.fromkeys(runs.column for runs in self.runs))

    @property
    def clean(self) -> bool:
        """Whether every run ended, and left nothing behind."""
        return all(
            None not in runs.cpu_s
            and not any(left for name, left in runs.facts.items() if name.endswith("left"))
            for runs in self.runs
        )

    def find(self, operation: str, column: str) -> Runs | None:
        """One operation in one column, or None if it was not measured."""
        for runs in self.runs:
            if (runs.operation, runs.column) == (operation, column):
                return runs
        return None

    def ratio(self, operation: str, column: str) -> Ratio | None:
        """How many times as fast as Trio; None without a round that both ended."""
        ours, theirs = self.find(operation, "trio"), self.find(operation, column)
        if ours is None or theirs is None:
            return None
        ratios = [
            (trio_s / ours.count) / (column_s / theirs.count)
            for trio_s, column_s in zip(ours.cpu_s, theirs.cpu_s, strict=True)
            if trio_s and column_s
        ]
        return Ratio(statistics.median(ratios), min(ratios), max(ratios)) if ratios else None

    def to_json(self) -> dict[str, Any]:
        """As what ``json.dump`` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Costs:
        """The inverse of ``to_json``."""
        runs = (
            Runs(**{**item, "wall_s": tuple(item["wall_s"]), "cpu_s": tuple(item["cpu_s"])})
            for item in data["runs"]
        )
        return cls(stamp=data["stamp"], rounds=data["rounds"], runs=tuple(runs))

    def save(self, path: Path) -> None:
        """Write the JSON file."""
        path.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Costs:
        """Read a JSON file.

        Raises:
            OSError: it cannot be read.
            ValueError: it holds something else.
        """
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path}: not a file of costs: {error!r}") from error
