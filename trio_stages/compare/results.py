"""What a run of the comparison leaves behind: the contract of those who run and those who draw.

Rules:

1. A result is data: frozen, and the same after a round trip through JSON.
2. What was expected is kept beside what was seen, so that a report never has to know the registry
   of another version.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Of the file; a reader refuses another one.
FORMAT = 1

Metric = bool | int | float | str

#: A cell's outcome. The process ended by itself; it was still running at its limit; the scenario
#: itself broke, and nothing has been observed.
ENDED, HANG, BROKEN = "ended", "HANG", "broken"

#: Kinds of events. ``start`` and ``stop`` are the ends of a bar in a lane; the others are moments.
START, STOP, CANCEL, APPLY, CLOSE, MARK = "start", "stop", "cancel", "apply", "close", "mark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in a cell.

    Attributes:
        at_s: seconds since the cell's clock began, monotonic.
        kind: ``start``, ``stop`` (ends of a bar; ``start`` without ``stop``: never ended),
            ``cancel`` (a timeout, a stop or Ctrl-C came), ``apply`` (a job changed the balances),
            ``close`` (the server said that it was closed) or ``mark`` (anything else).
        lane: where: ``task: worker 1``, ``thread: job a``, ``lock: store``, ``server``, ``client``.
        label: what the bar or the moment is called.
    """

    at_s: float
    kind: str
    lane: str
    label: str

    @property
    def lane_kind(self) -> str:
        """``task``, ``thread``, ``lock``, ``server`` or ``client``."""
        return self.lane.partition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One scenario in one column on one interpreter.

    Attributes:
        scenario: its id, such as ``S3``.
        column: ``trio``, ``modern``, ``classic``, ``hardened`` or ``anyio``.
        python: the interpreter's full version; the key of its ``Stamp``.
        outcome: ``ended``, ``HANG`` (still running at the limit) or ``broken``.
        shown: the cell's text for a table, such as ``2 in the lock at once``.
        wanted: whether this is what the owner of an ingest server wants.
        metrics: what was counted; the names are explained in ``metrics.MEANING``.
        events: for a timeline, in order of time.
        expected: the registry's facts for this cell, as text: ``overlaps`` → ``= 0``.
        differences: where the observation is not the expectation, a sentence each.
        duration_s: of the whole cell, its process included.
        complaints: what Python or the library said on stderr, shortened.
    """

    scenario: str
    column: str
    python: str
    outcome: str
    shown: str
    wanted: bool
    metrics: Mapping[str, Metric]
    events: tuple[Event, ...] = ()
    expected: Mapping[str, str] = field(default_factory=dict)
    differences: tuple[str, ...] = ()
    duration_s: float = 0.0
    complaints: str = ""

    @property
    def agrees(self) -> bool:
        """Whether what was seen is what the registry expects."""
        return not self.differences


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """An interpreter and what runs on it.

    Attributes:
        python: full version, such as ``3.11.7``.
        versions: of ``trio``, ``anyio``, ``h11``, ``pydantic``; "" for one that is missing.
        system: such as ``Linux x86_64``.
        cores: that the process may use.
        gil: whether its threads take turns.
    """

    python: str
    versions: Mapping[str, str]
    system: str
    cores: int
    gil: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareResults:
    """A run of the comparison: its interpreters, and its cells in the registry's order."""

    stamps: tuple[Stamp, ...]
    cells: tuple[Cell, ...]

    @property
    def agrees(self) -> bool:
        """Whether every cell is as the registry expects."""
        return all(cell.agrees for cell in self.cells)

    def find(self, scenario: str, column: str, python: str) -> Cell | None:
        """Return one cell, or None if it was not run."""
        for cell in self.cells:
            if (cell.scenario, cell.column, cell.python) == (scenario, column, python):
                return cell
        return None

    def to_json(self) -> dict[str, Any]:
        """As what ``json.dump`` takes."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CompareResults:
        """The inverse of ``to_json``.

        Raises:
            ValueError: this is not a file of ours, or of another format.
        """
        if data.get("format") != FORMAT:
            raise ValueError(f"not results of format {FORMAT}: {data.get('format')!r}")
        return cls(
            stamps=tuple(Stamp(**stamp) for stamp in data["stamps"]),
            cells=tuple(cell_from_json(cell) for cell in data["cells"]),
        )

    def save(self, path: Path) -> None:
        """Write the JSON file."""
        path.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> CompareResults:
        """Read a JSON file.

        Raises:
            OSError: it cannot be read.
            ValueError: it holds something else.
        """
        return cls.from_json(json.loads(path.read_text(encoding="utf-8")))


def cell_from_json(data: Mapping[str, Any]) -> Cell:
    """One cell out of what ``to_json`` made of it."""
    return Cell(
        **{
            **data,
            "events": tuple(Event(**event) for event in data["events"]),
            "differences": tuple(data["differences"]),
        }
    )


def version(python: str) -> tuple[int, ...]:
    """``3.13.0`` as numbers; what follows a release candidate's digits is left out."""
    return tuple(int(part) for part in re.findall(r"\d+", python)[:3])
