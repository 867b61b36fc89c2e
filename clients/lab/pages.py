"""A run of the lab as a page: for each experiment its question, what became of the claims, figures.

What does not hold stands first, before any experiment: a reader should not have to look for it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from trio_stages.report import Code, Figure, Page, Section, Verdict

from .cells import comparison, table
from .draw import draw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio_stages.report.page import Block

    from .results import ExperimentResult, LabResults, Plot
    from .results import Verdict as Claim

TITLE = "The stress lab of trio_stages"
WHOSE = {"document": "The document: ", "model": "", "ours": ""}
MODES = {
    "real": "over real sockets",
    "virtual": "in virtual time",
    "both": "over real sockets and in virtual time",
    "machine": "on this machine, without sockets",
}


def page(results: LabResults) -> Page:
    """The report of a whole run."""
    anchors = {one.id: one.id for one in results.experiments}
    return Page(
        title=TITLE,
        intro=_intro(results),
        stamp={"started": when(results.started), "command": results.command, **results.machine},
        sections=(
            Section(title="In short", anchor="in-short", blocks=tuple(_short(results))),
            *(
                Section(
                    title=one.title,
                    anchor=anchors[one.id],
                    part=_capital(one.group),
                    blocks=tuple(_blocks(one)),
                )
                for one in results.experiments
            ),
        ),
    )


def names(results: LabResults) -> list[str]:
    """A file name for each figure of the page, in its order."""
    return [
        f"{one.id}-{number}-{plot.kind.replace('_', '-')}.svg"
        for one in results.experiments
        for number, plot in enumerate(one.plots, 1)
    ]


def claim(given: Claim) -> Verdict:
    """A verdict that says whose claim it is about."""
    return Verdict(
        claim=f"{WHOSE[given.source]}{given.claim}",
        holds=given.holds,
        measured=given.measured,
    )


def took(one: ExperimentResult) -> str:
    """How an experiment was made, and how long it took."""
    text = f"{MODES[one.mode]}, {seconds(one.duration_s)}"
    return f"{text} for {seconds(one.virtual_s)} of virtual time" if one.virtual_s else text


def seconds(value: float) -> str:
    """A time for people."""
    if value >= 120:
        return f"{int(value) // 60:,} min {value % 60:.0f} s"
    return f"{value:.2g} s" if value < 1 else f"{value:,.1f} s" if value < 10 else f"{value:,.0f} s"


def when(started: str) -> str:
    """An ISO 8601 time without what nobody reads."""
    return started[:16].replace("T", " ") + (" UTC" if started else "")


def _intro(results: LabResults) -> str:
    what = (
        "Every table of the document that the ladder follows, measured again: beside its figures "
        "stand ours, what the model predicts, and what became of each claim. Verdicts are "
        "computed from the figures of this run. "
    )
    how = (
        "This was a quick run: what needs long waiting was done in virtual time only. "
        if results.quick
        else ""
    )
    return f"{what}{how}It took {seconds(results.duration_s)}."


def _short(results: LabResults) -> Iterator[Block]:
    failed = [
        (one, verdict)
        for one in results.experiments
        for verdict in one.verdicts
        if verdict.holds is False
    ]
    counts = Counter(verdict.holds for one in results.experiments for verdict in one.verdicts)
    yield (
        f"{len(results.experiments)} experiments, {sum(counts.values())} claims: "
        f"**{counts[True]} hold**, **{counts[False]} do not hold here**, "
        f"{counts[None]} could not be observed."
    )
    broken = [one for one in results.experiments if not one.ok]
    for one in broken:
        why = one.error or f"the ledger differs in {len(one.ledger)} places"
        yield f"**[{one.title}](#{one.id}) went wrong**: {why}."
    if not broken and results.experiments:
        yield "All experiments ran, and every ledger agreed with its client's counts."
    for whose, text in (
        ("document", "What the document says, and this run does not show:"),
        ("model", "What the model predicts, and this run does not show:"),
        ("ours", "What we expected ourselves, and this run does not show:"),
    ):
        some = [(one, verdict) for one, verdict in failed if verdict.source == whose]
        if some:
            yield text
        for one, verdict in some:
            yield f"[{one.title}](#{one.id}): {verdict.claim} **Here**: {verdict.measured}."


def _blocks(one: ExperimentResult) -> Iterator[Block]:
    yield f"**{one.question}** Done {took(one)}."
    if one.error is not None:
        yield f"**It could not run**: {one.error}."
    for difference in one.ledger:
        yield f"**The ledger differs**: {difference}."
    for verdict in one.verdicts:
        yield claim(verdict)
    if one.comparisons:
        yield comparison(one.comparisons)
        yield from (f"**{row.quantity}**: {row.note}." for row in one.comparisons if row.note)
    for plot in one.plots:
        yield _figure(plot)
    for given in one.tables:
        yield table(given)
    yield from one.notes
    if one.command:
        yield Code(text=one.command, language="console", caption="The heart of it, by hand:")


def _figure(plot: Plot) -> Block:
    caption, alt = plot.caption or plot.title, plot.alt or plot.caption or plot.title
    try:
        return Figure(svg=draw(plot), caption=caption, alt=alt)
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        return f"{plot.title}: {alt} (Not drawn: {error}.)"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
