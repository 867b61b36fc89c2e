"""A scenario as data: what is done to the server, why it matters, and what each column should show.

Rules:

1. An expectation is a fact about a count, a name or an outcome; never about milliseconds.
2. Facts are keyed by column and by a range of Python versions, so that an interpreter which mends
   (or breaks) something makes the run fail until the registry says so.
3. A label is a claim about the cells, and a test holds it to them: see ``Label``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .results import version

if TYPE_CHECKING:
    from .results import Cell, Metric
    from .trial import Trial

COLUMNS = ("trio", "modern", "classic", "hardened", "anyio")
PLAIN_ASYNCIO = ("modern", "classic", "hardened")

Version = tuple[int, ...]


class Label(Enum):
    """Whom a scenario favours: Trio beside plain asyncio, without hardening."""

    TRIO_BETTER = "Trio better"  #: Trio as wanted, modern asyncio not, on some interpreters
    ASYNCIO_BETTER = "asyncio better"  #: modern or classic asyncio as wanted, Trio not
    TRADE_OFF = "trade-off"  #: each does what some would want
    SAME = "the same"  #: Trio and modern asyncio alike on all; classic may have its own ways


@dataclass(frozen=True, slots=True)
class Fact:
    """What one metric should be.

    Attributes:
        relation: ``=``, ``≥``, ``≤`` or ``contains``.
        value: to compare with.
    """

    relation: str
    value: Metric

    def holds(self, seen: Metric | None) -> bool:
        """Whether a metric is so; a missing one is not."""
        if seen is None:
            return False
        if self.relation == "contains":
            return str(self.value) in str(seen)
        if self.relation == "=":
            return seen == self.value
        assert not isinstance(seen, str)
        assert not isinstance(self.value, str)
        return seen >= self.value if self.relation == "≥" else seen <= self.value

    def __str__(self) -> str:
        return f"{self.relation} {self.value}"


def at_least(value: float) -> Fact:
    """A metric that is no less."""
    return Fact("≥", value)


def at_most(value: float) -> Fact:
    """A metric that is no more."""
    return Fact("≤", value)


def contains(text: str) -> Fact:
    """A text that has this in it."""
    return Fact("contains", text)


Facts = Mapping[str, Fact]


def facts(**metrics: Metric | Fact) -> Facts:
    """Facts by the names of metrics; a plain value means that it is exactly that."""
    return {
        name: fact if isinstance(fact, Fact) else Fact("=", fact) for name, fact in metrics.items()
    }


@dataclass(frozen=True, slots=True)
class Expectation:
    """What some columns show, on a range of interpreters.

    Attributes:
        columns: for which it holds.
        facts: by name of metric; ``outcome`` is one of them, ``ended`` if it is not named.
        since: the first version.
        before: the first version for which it holds no longer; None: so far every one.
        because: what changed there, for a reader of the table.
    """

    columns: tuple[str, ...]
    facts: Facts
    since: Version = (3, 11)
    before: Version | None = None
    because: str = ""

    def covers(self, column: str, python: Version) -> bool:
        """Whether it speaks of this cell."""
        return (
            column in self.columns
            and python >= self.since
            and (self.before is None or python < self.before)
        )


def expect(
    columns: str,
    /,
    *,
    since: Version = (3, 11),
    before: Version | None = None,
    because: str = "",
    **metrics: Metric | Fact,
) -> Expectation:
    """An expectation for columns given as words: ``expect("trio anyio", overlaps=0)``."""
    return Expectation(tuple(columns.split()), facts(**metrics), since, before, because)


@dataclass(frozen=True, slots=True)
class Link:
    """Where it is documented, or discussed."""

    text: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One thing that happens to an ingest server.

    Attributes:
        id: such as ``S3``.
        module: its package, ``trio_stages.compare.scenarios.s03_…``.
        title: a line.
        done: what is done to the server, step by step, in a few sentences.
        why: why whoever runs an ingest server should care.
        label: whom it favours.
        links: documentation and issues.
        shown: the table's text for a cell, formatted with its metrics.
        wanted: what the owner of the server wants to see.
        expected: what was seen, by column and version.
        run: does it, in the cell's process; returns metrics of its own.
        exhibit: names of the shells' functions in which the columns differ; a scenario whose
            package has a module for each column needs none.
        limit_s: after how long a cell that has not ended is a HANG.
        note: what a fair reader should know besides, such as the cure in one line.
        columns: where it can be run.
    """

    id: str
    module: str
    title: str
    done: str
    why: str
    label: Label
    links: tuple[Link, ...]
    shown: str
    wanted: Facts
    expected: tuple[Expectation, ...]
    run: Callable[[Trial], Mapping[str, Metric] | None]
    exhibit: tuple[str, ...] = ()
    limit_s: float = 5.0
    note: str = ""
    columns: tuple[str, ...] = field(default=COLUMNS)

    @cached_property
    def name(self) -> str:
        """Its package's name, such as ``s03_timeout_under_lock``."""
        return self.module.rpartition(".")[2]

    def expectation(self, column: str, python: Version) -> Expectation:
        """What this cell should show.

        Raises:
            LookupError: nobody has said.
        """
        for expectation in self.expected:
            if expectation.covers(column, python):
                return expectation
        raise LookupError(f"nothing is known of {column} on {'.'.join(map(str, python))}")

    def facts(self, column: str, python: Version) -> Facts:
        """The same as facts, with the outcome; of a HANG nothing more is asked than is said."""
        expected = self.expectation(column, python).facts
        return {"outcome": Fact("=", "ended"), **expected}

    def show(self, metrics: Mapping[str, Metric]) -> str:
        """The table's text for a cell with these metrics."""
        if metrics.get("outcome") != "ended":
            return str(metrics.get("outcome", ""))
        try:
            return self.shown.format_map(metrics)
        except (KeyError, ValueError):
            return "?"

    def is_wanted(self, metrics: Mapping[str, Metric]) -> bool:
        """Whether a cell with these metrics, ``outcome`` among them, is as its owner wants it."""
        wanted = {"outcome": Fact("=", "ended"), **self.wanted}
        return all(fact.holds(metrics.get(name)) for name, fact in wanted.items())

    def expects_wanted(self, column: str, python: Version) -> bool:
        """Whether the registry expects of this cell what its owner wants."""
        return self.is_wanted({n: fact.value for n, fact in self.facts(column, python).items()})

    def column_module(self, column: str) -> Any:
        """The scenario's own module for a column, or the column's shell."""
        own = Path(__file__).parent / "scenarios" / self.name / f"{column}.py"
        package = self.module if own.exists() else "trio_stages.compare.shells"
        return import_module(f"{package}.{column}")

    def source(self, column: str) -> str:
        """The code in which this column differs, for reading side by side."""
        module = self.column_module(column)
        if not self.exhibit or not module.__name__.startswith("trio_stages.compare.shells"):
            return inspect.getsource(module)
        return "\n\n".join(inspect.getsource(getattr(module, name)) for name in self.exhibit)

    def label_follows(self, cells: Sequence[Cell]) -> bool:
        """Whether the label is what these cells of the scenario, all of one run, say.

        A trade-off is a judgement, and always passes; so does what has not been run, and "Trio
        better" on an interpreter of which it is known that asyncio does as well there.
        """
        wanted = {(cell.python, cell.column): cell.wanted for cell in cells}
        pythons = {python for python, column in wanted if column == "trio"}
        pairs = [
            (wanted[python, "trio"], wanted[python, column], column)
            for python in pythons
            for column in ("modern", "classic")
            if (python, column) in wanted
        ]
        modern = [(trio, asyncio) for trio, asyncio, column in pairs if column == "modern"]
        if not modern or self.label is Label.TRADE_OFF:
            return True
        if self.label is Label.TRIO_BETTER:
            return all(
                wanted[python, "trio"]
                and wanted[python, "modern"] == self.expects_wanted("modern", version(python))
                for python in pythons
                if (python, "modern") in wanted
            )
        if self.label is Label.ASYNCIO_BETTER:
            return any(asyncio and not trio for trio, asyncio, _ in pairs)
        return all(trio == asyncio for trio, asyncio in modern)
