"""The headline's figures for people: what was to be reached, and a table for each experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.report.page import Page, Section
from trio_stages.report.tables import Table
from trio_stages.report.verdicts import Verdict

from .figures import Spread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .headline import Headline

# What the Rust original reached on such a machine.
ORIGINAL_PER_S = {7: 14_400, 8: 13_800}
ORIGINAL_CPU_US = 37.0
JOBS_PER_S = 16 / 0.011  # of stage 8: 16 workers, 10 ms of work and 1 ms of hold
KEPT_IN_FLOOD, KEPT_SUSTAINED, MODEL_WITHIN = 0.90, 0.80, 0.10


def verdicts(found: Headline) -> list[Verdict]:
    """What was to be reached."""
    made = []
    for stage, least in ORIGINAL_PER_S.items():
        runs = [run for run in found.floods if run.stage == stage]
        made += [
            _at_least(
                f"stage {stage} answers {least:,} requests/s, as the Rust original does",
                Spread.of(run.requests_per_s for run in runs),
                least,
            ),
            Verdict(
                claim=f"stage {stage}: the ledger is right in every run",
                holds=all(run.ledger_ok for run in runs) if runs else None,
                measured=f"{sum(run.ledger_ok for run in runs)} of {len(runs)}",
            ),
        ]
    eighth = [run for run in found.floods if run.stage == 8]
    off = Spread.of(abs(run.accepted / run.model - 1) for run in eighth)
    kept = Spread.of(run.jobs_per_s / JOBS_PER_S for run in eighth)
    lasting = Spread.of(run.jobs_per_s / JOBS_PER_S for run in found.sustained)
    return [
        *made,
        Verdict(
            claim=f"stage 8 accepts what the model expects, within {MODEL_WITHIN:.0%}",
            holds=None if off is None else off.median <= MODEL_WITHIN,
            measured="" if off is None else f"off by {off.median:.1%} (at most {off.high:.1%})",
        ),
        _share(
            f"stage 8's workers keep {KEPT_IN_FLOOD:.0%} of their rate in it", kept, KEPT_IN_FLOOD
        ),
        _share(f"under a sustained flood they keep {KEPT_SUSTAINED:.0%}", lasting, KEPT_SUSTAINED),
    ]


def _at_least(claim: str, found: Spread | None, least: float) -> Verdict:
    return Verdict(
        claim=claim,
        holds=None if found is None else found.median >= least,
        measured="" if found is None else found.text(),
    )


def _share(claim: str, found: Spread | None, least: float) -> Verdict:
    measured = ""
    if found is not None:
        measured = f"{found.median:.1%} ({found.low:.1%} to {found.high:.1%}) of 1,455 jobs/s"
    return Verdict(
        claim=claim, holds=None if found is None else found.median >= least, measured=measured
    )


def tables(found: Headline) -> list[Table]:
    """One for each experiment: medians, lowest and highest."""
    return [
        Table(
            columns=("stage", "requests/s", "latency ms", "accepted", "model", "jobs/s", "ledger"),
            rows=tuple(
                (
                    str(stage),
                    _text(run.requests_per_s for run in runs),
                    _text((run.latency_ms for run in runs), 1),
                    _text(run.accepted for run in runs),
                    _text(run.model for run in runs),
                    _text(run.jobs_per_s for run in runs),
                    "OK" if all(run.ledger_ok for run in runs) else "DIFFERS",
                )
                for stage in ORIGINAL_PER_S
                if (runs := [run for run in found.floods if run.stage == stage])
            ),
            caption="5,000 requests over 200 keep-alive connections",
        ),
        Table(
            columns=("stage", "requests/s", "CPU µs a request", "× the original's 37 µs"),
            rows=tuple(
                (
                    str(stage),
                    _text(run.requests_per_s for run in ends),
                    _text((run.cpu_us for run in ends), 1),
                    _text((run.cpu_us / ORIGINAL_CPU_US for run in ends), 2),
                )
                for stage in ORIGINAL_PER_S
                if (ends := [run for run in found.closes if run.stage == stage])
            ),
            caption="A connection for each request",
        ),
        Table(
            columns=("requests/s", "refused/s", "jobs/s", "of 1,455", "ledger"),
            rows=(
                (
                    _text(run.requests_per_s for run in found.sustained),
                    _text(run.refused_per_s for run in found.sustained),
                    _text(run.jobs_per_s for run in found.sustained),
                    _text((100 * run.jobs_per_s / JOBS_PER_S for run in found.sustained), 1) + " %",
                    "OK" if all(run.ledger_ok for run in found.sustained) else "DIFFERS",
                ),
            ),
            caption="Stage 8 under a flood that goes on: 200 connections, 100 users",
            align="rrrrr",
        ),
    ]


def _text(values: Iterable[float], digits: int = 0) -> str:
    found = Spread.of(values)
    return "-" if found is None else found.text(digits)


def page(found: Headline) -> Page:
    """All of it."""
    titles = ("The document's flood", "A connection for each request", "A flood that goes on")
    return Page(
        title="Stages 7 and 8 at the document's own load",
        intro="Medians of all runs, with the lowest and the highest. The Rust original, built on a "
        "machine of the same kind, answered 14,400 and 13,800 requests/s.",
        stamp=found.stamp,
        sections=(
            Section(title="What was to be reached", blocks=tuple(verdicts(found))),
            *(
                Section(title=title, blocks=(table,))
                for title, table in zip(titles, tables(found), strict=True)
            ),
        ),
    )
