"""The end of a run in the terminal: figures beside the document's, verdicts, and their sum."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from .cells import comparison
from .pages import claim, seconds, took

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from .results import ExperimentResult, LabResults

STYLES = {True: "green", False: "bold red", None: "yellow"}
INDENT = (0, 0, 0, 2)


def summary(results: LabResults) -> Group:
    """All experiments in their order, and last what a reader looks for first: the sum."""
    parts: list[RenderableType] = []
    group = ""
    for one in results.experiments:
        if one.group != group:
            group = one.group
            parts.append(Rule(Text(group, style="bold"), align="left", characters="─"))
        parts += [*_experiment(one), Text()]
    return Group(*parts, Rule(characters="─"), *_sum(results))


def _experiment(one: ExperimentResult) -> Iterator[RenderableType]:
    yield Text.assemble((one.title, "bold"), "  ", (f"{one.id}, {took(one)}", "dim"))
    if one.error is not None:
        yield Padding(Text(f"could not run: {one.error}", style="bold red"), INDENT)
    for difference in one.ledger:
        yield Padding(Text(f"the ledger differs: {difference}", style="bold red"), INDENT)
    if one.comparisons:
        yield Padding(comparison(one.comparisons).rich(), INDENT)
    for given in one.verdicts:
        verdict = claim(given)
        line = Text.assemble(
            (verdict.word, STYLES[verdict.holds]),
            f"  {verdict.claim} ",
            (f"({verdict.measured})", "dim"),
        )
        yield Padding(line, INDENT)


def _sum(results: LabResults) -> Iterator[RenderableType]:
    counts = Counter(verdict.holds for one in results.experiments for verdict in one.verdicts)
    yield Text.assemble(
        f"{len(results.experiments)} experiments in {seconds(results.duration_s)}: ",
        (f"{counts[True]} claims hold", STYLES[True]),
        ", ",
        (f"{counts[False]} do not hold here", STYLES[False] if counts[False] else ""),
        ", ",
        (f"{counts[None]} not observed", STYLES[None] if counts[None] else ""),
    )
    for one in results.experiments:
        for given in one.verdicts:
            if given.holds is False:
                yield Text.assemble(
                    ("  does not hold here", STYLES[False]), f"  {one.id}: {claim(given).claim}"
                )
    for one in results.experiments:
        if not one.ok:
            why = one.error or f"{len(one.ledger)} differences in the ledger"
            yield Text.assemble(("  went wrong", STYLES[False]), f"  {one.id}: {why}")
