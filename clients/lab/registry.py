"""An experiment as data, and the list of all of them. A new experiment is a new row in its file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from .bench import Bench
    from .results import Comparison, Mode, Plot, Table, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What an experiment has found; see ``results.ExperimentResult``."""

    comparisons: tuple[Comparison, ...] = ()
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One row of the registry; see ``results.ExperimentResult`` for what each field means.

    Attributes:
        run: does it on a bench that starts servers and simulations.
    """

    id: str
    group: str
    stages: tuple[int, ...]
    title: str
    question: str
    mode: Mode
    run: Callable[[Bench], Awaitable[Findings]]
    command: str = ""


class UnknownExperiment(ValueError):
    """Neither the number of a stage nor the name of an experiment."""


def all_experiments() -> tuple[Experiment, ...]:
    """Every experiment, in the order of the report."""
    from . import (
        connections,
        controlled,
        decomposition,
        gil,
        hotlock,
        openloop,
        pool,
        retries,
        sharding,
        shutdown,
        sizing,
        skew,
    )

    document = (connections, pool, hotlock, sharding, sizing, shutdown)
    explained = (controlled, decomposition, skew, gil, openloop, retries)
    modules = (*document, *explained)
    return tuple(experiment for module in modules for experiment in module.EXPERIMENTS)


def chosen(experiments: Sequence[Experiment], words: Iterable[str]) -> tuple[Experiment, ...]:
    """Those about one of these stages, or called by one of these names; all of them for no words.

    Raises:
        UnknownExperiment: nothing is meant by one of the words.
    """
    wanted: set[str] = set()
    words = tuple(words)
    for word in words:
        found = {
            each.id for each in experiments if word == each.id or word in map(str, each.stages)
        }
        if not found:
            known = ", ".join(each.id for each in experiments)
            raise UnknownExperiment(f"{word!r} is neither a stage nor one of {known}")
        wanted |= found
    return tuple(each for each in experiments if not words or each.id in wanted)
