"""What a run of the lab leaves behind, as data: ``results.json``, and whatever renders it.

Rules:

1. Rendering needs no knowledge of any experiment: a table says what its columns are, a plot of
   which kind it is and whose each series is, a verdict who claimed what.
2. Every figure has its unit beside it. A figure that could not be had is ``None``, never 0 or NaN.
3. The schema only grows: a field may come with a default, none changes its meaning. ``SCHEMA``
   rises when an older reader would misread a newer file.

``python -m clients.lab.results`` prints the JSON schema.

Kinds of plots, and what they are made of:

- ``queue_over_time``: series over seconds since the start, as steps
- ``distribution``: cumulative; a series is (value, share of all that are not above it)
- ``lanes``: what each worker did and when; ``lanes`` alone
- ``sweep``: series over a factor that was varied (its ``x.log`` says how to scale it)
- ``offered_vs_goodput``: series over the offered load, in multiples of the capacity
- ``waterfall``: ``bars`` whose values add up to the last one, which is the total
- ``bars``: ``bars`` beside each other, grouped by their ``group``
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

SCHEMA = 1

Number = Annotated[float, Field(allow_inf_nan=False)]
Cell = str | Number | None

Whose = Literal["label", "setting", "document", "original", "measured", "virtual", "model"]
What = Literal["offered", "accepted", "rejected", "queued", "processed", "goodput"]
Time = Literal["wait", "hold", "work", "idle", "latency"]
Share = Literal["factor", "total"]
Role = Whose | What | Time | Share
"""Whose figure it is (the document's, the Rust original's, ours in real or in virtual time, the
model's), or what it is one of."""

Kind = Literal[
    "queue_over_time",
    "distribution",
    "lanes",
    "sweep",
    "offered_vs_goodput",
    "waterfall",
    "bars",
]

Mode = Literal["real", "virtual", "both", "machine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A claim, and what became of it.

    Attributes:
        claim: a sentence.
        holds: computed, never written in advance; None: it could not be observed here.
        measured: the figures behind it.
        source: whose claim it is: the document's, the model's about our measurements, or ours.
    """

    claim: str
    holds: bool | None
    measured: str
    source: Literal["document", "model", "ours"] = "ours"

    def text(self) -> str:
        """``holds: …``, ``does not hold here: …`` or ``not observed: …``."""
        word = {True: "holds", False: "does not hold here", None: "not observed"}[self.holds]
        return f"{word}: {self.measured}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One quantity beside itself: the document's figure, the original's, ours, the model's.

    Attributes:
        quantity: such as "accepted".
        unit: such as "jobs/s"; empty for a count.
        document: a figure of the document, or its words for it.
        original: measured on the Rust original, on the same kind of machine.
        measured: over real sockets.
        virtual: the same in virtual time.
        model: predicted.
        note: what a reader has to know to compare them.
        digits: behind the decimal point, for people.
    """

    quantity: str
    unit: str = ""
    document: Cell = None
    original: Cell = None
    measured: Cell = None
    virtual: Cell = None
    model: Cell = None
    note: str = ""
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column; ``digits`` behind the decimal point, for its numbers."""

    name: str
    unit: str = ""
    role: Role = "label"
    digits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text and numbers; numbers are raw, a renderer rounds them to the column's digits."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a plot."""

    label: str
    unit: str = ""
    log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points with a name.

    Attributes:
        name: for the legend.
        role: whose, or what; a renderer chooses its colour by it.
        points: (x, y), x never falling.
        style: a ``line``, ``steps`` that keep their value until the next point, or ``points``.
        group: series of one group belong together, as the same quantity under two conditions.
    """

    name: str
    role: Role
    points: tuple[tuple[Number, Number], ...]
    style: Literal["line", "steps", "points"] = "line"
    group: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A straight line across a plot, such as a capacity; ``at`` on the axis named."""

    name: str
    axis: Literal["x", "y"]
    at: Number
    role: Role = "model"


@dataclass(frozen=True, slots=True)
class Bar:
    """A labelled value."""

    label: str
    value: Number
    role: Role
    group: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start_s`` to ``end_s`` a worker did ``what``: work, wait, hold or idle."""

    start_s: Number
    end_s: Number
    what: Role
    label: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """One worker's time, from left to right, its spans in order and without overlap."""

    name: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One picture; which of its parts are filled depends on its kind, see the module.

    Attributes:
        kind: how to draw it.
        title: of the picture.
        caption: what to see in it.
        alt: the same for whoever cannot see it.
    """

    kind: Kind
    title: str
    x: Axis
    y: Axis
    caption: str = ""
    alt: str = ""
    series: tuple[Series, ...] = ()
    bars: tuple[Bar, ...] = ()
    lanes: tuple[Lane, ...] = ()
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentResult:
    """All that one experiment showed.

    Attributes:
        id: unique; what the command line takes besides the number of a stage.
        group: of experiments that belong together, such as "the document's tables".
        stages: that it is about.
        title: a headline.
        question: that it answers.
        mode: over real sockets, in virtual time, both, or arithmetic alone.
        duration_s: real seconds that it took.
        virtual_s: virtual seconds that passed in it.
        comparisons: one table, of all quantities that the document, the model and we have.
        tables, plots, verdicts: further ones.
        notes: paragraphs, with inline `code` and **bold**.
        command: repeats the heart of it by hand.
        ledger: differences between a server's ledger and its client's; there should be none.
        error: why it could not run.
    """

    id: str
    group: str
    stages: tuple[int, ...]
    title: str
    question: str
    mode: Mode
    duration_s: Number = 0.0
    virtual_s: Number = 0.0
    comparisons: tuple[Comparison, ...] = ()
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()
    command: str = ""
    ledger: tuple[str, ...] = ()
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it ran, and every ledger agreed; a claim that does not hold is a result too."""
        return self.error is None and not self.ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class LabResults:
    """A whole run.

    Attributes:
        schema: see rule 3.
        machine: what it ran on: interpreter, system, cores, versions.
        started: ISO 8601, UTC.
        duration_s: of the whole run.
        quick: whether what needs long waiting ran in virtual time only.
        command: that was run.
        experiments: in the order of the registry.
    """

    schema: int = SCHEMA
    machine: dict[str, str] = field(default_factory=dict)
    started: str = ""
    duration_s: Number = 0.0
    quick: bool = False
    command: str = ""
    experiments: tuple[ExperimentResult, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all of it ran, and no ledger differed."""
        return all(experiment.ok for experiment in self.experiments)

    def to_json(self) -> str:
        """The content of ``results.json``.

        Raises:
            ValueError: some figure is infinite or no number; see rule 2.
        """
        return json.dumps(asdict(self), indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> LabResults:
        """Read a ``results.json``.

        Raises:
            pydantic.ValidationError: it is none.
        """
        return _ADAPTER.validate_json(text)


_ADAPTER = TypeAdapter(LabResults)


def json_schema() -> dict[str, Any]:
    """The JSON schema of ``results.json``."""
    return _ADAPTER.json_schema(mode="serialization")


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
