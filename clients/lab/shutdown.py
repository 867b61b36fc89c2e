"""Stages 9 and 10: figures that add up and cost next to nothing; a stop that loses nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

import trio
from prometheus_client.parser import text_string_to_metric_families

from clients.http import Connection, Target
from clients.loads import LOADS
from clients.pairs import Side, ratios, run_pair
from clients.spawn import spawned
from clients.stress import measure
from clients.witness import stop_amid_flood
from trio_stages.metrics import FRESH_S

from .registry import Experiment, Findings
from .results import Column, Comparison, Table
from .simulate import Simulated, Stage, settings_of, simulate
from .verdicts import judge, known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clients.pairs import Run

    from .bench import Bench

GROUP = "The document's tables: stages 9 and 10"
METRICS = {
    "trio_stages_events_received": "received",
    "trio_stages_events_accepted": "accepted",
    "trio_stages_events_rejected": "rejected",
    "trio_stages_jobs_processed": "processed",
}
PAIRS, QUICK_PAIRS = 5, 1
# The text is rendered once a second at most, so the flood has to last for some.
SCRAPED = replace(LOADS[9], requests=20_000)
SCRAPE_EVERY_S = 0.1
# What the metrics may cost of a request's CPU time, its share of the jobs included.
COST = 1.1
STOP_AFTER_S = 0.4
CONCURRENCY = 200


async def _values(connection: Connection, target: Target) -> dict[str, float]:
    """What /metrics says at one moment, without what has labels."""
    reply = await connection.request(target.request("GET", "/metrics"))
    return {
        sample.name.removesuffix("_total"): sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
        if not sample.labels
    }


def _adds_up(values: dict[str, float]) -> bool:
    """Both of the ledger's sums, in one scrape."""

    def of(*names: str) -> float:
        return sum(values.get(f"trio_stages_{name}", math.nan) for name in names)

    return of("events_received") == of(
        "events_accepted", "events_rejected", "events_invalid"
    ) and of("events_accepted") == of(
        "jobs_processed", "jobs_failed", "queue_depth", "jobs_in_hand", "jobs_abandoned"
    )


def _of_pairs(found: Sequence[float]) -> str:
    if not found:
        return "no pair has such a figure"
    return f"{median(found):.3f}× ({min(found):.3f} to {max(found):.3f}, pairs: {len(found)})"


async def metrics(bench: Bench) -> Findings:
    """Does /metrics say what the ledger says, and what does it cost?"""
    sums: dict[tuple[float, ...], bool] = {}  # of each text

    async def scrape(target: Target) -> None:
        with Connection(target) as connection:
            while True:
                values = await _values(connection, target)
                sums[tuple(values.values())] = _adds_up(values)
                await trio.sleep(SCRAPE_EVERY_S)

    async with spawned(9) as server:
        target = await Target.locate(server.url)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scrape, target)
            report = await measure(9, SCRAPED, server.url)
            nursery.cancel_scope.cancel()
        await trio.sleep(FRESH_S)
        with Connection(target) as connection:
            values = await _values(connection, target)
    bench.differ("stage 9", report.differences)
    stats = report.stats or {}
    rows = tuple(
        (name, known(values.get(name, math.nan)), float(stats[key]))
        for name, key in METRICS.items()
    )
    wrong = [name for name, shown, counted in rows if shown != counted]
    pairs = QUICK_PAIRS if bench.quick else PAIRS
    sides: tuple[list[Run], list[Run]] = ([], [])
    for pair in range(pairs):
        bench.on_progress("stage 8 beside stage 9", pair, pairs)
        runs = await run_pair([Side(stage, (), LOADS[9]) for stage in (8, 9)], turns=2)
        for stage, side, run in zip((8, 9), sides, runs, strict=True):
            side.append(run)
            if not run.ledger_ok:
                bench.differ(f"stage {stage}", ["see clients.stress"])
    jobs, cpu = (ratios(figure, *sides) for figure in ("drain_per_s", "cpu_us_per_request"))
    return Findings(
        comparisons=(
            Comparison(
                quantity="jobs/s of stage 9 ÷ stage 8",
                unit="×",
                measured=known(median(jobs)) if jobs else None,
                model=1,
                digits=3,
                note=f"median of {len(jobs)} pairs, side by side in time",
            ),
            Comparison(
                quantity="server CPU per request, stage 9 ÷ stage 8",
                unit="×",
                measured=known(median(cpu)) if cpu else None,
                digits=2,
            ),
        ),
        tables=(
            Table(
                title=f"After {SCRAPED.requests:,} requests",
                columns=(
                    Column("metric"),
                    Column("in /metrics", "", "measured"),
                    Column("in /stats", "", "measured"),
                ),
                rows=rows,
            ),
        ),
        verdicts=(
            judge(
                "Under load the metrics add up exactly: both of the ledger's sums in every text.",
                all(sums.values()) and len(sums) > 1,
                f"{sum(sums.values())} of {len(sums)} texts that were rendered while the load and "
                "its backlog were there",
            ),
            judge(
                "Afterwards they are the ledger's.",
                not wrong,
                f"{len(rows) - len(wrong)} of {len(rows)} equal",
            ),
            judge(
                "Metrics take no jobs: the rate is within 5 %.",
                median(jobs) > 0.95 if jobs else None,
                _of_pairs(jobs),
            ),
            judge(
                "And they cost a tenth of a request's CPU time at most.",
                median(cpu) <= COST if cpu else None,
                _of_pairs(cpu),
            ),
        ),
        notes=(
            "The Rust original's `pending` never returns to 0: its `received` counts requests for "
            "its own metrics, and invalid ones.",
        ),
    )


async def _stop_in_flood(stage: Stage) -> None:
    """Clients at stage 10 that go on for a while after the stop has begun."""
    for number in range(4000):
        await stage.post(f"user{number % 100}")
        if number == 2000:
            assert stage.stop is not None, "stage 10 stops gracefully"
            stage.stop()
        await trio.sleep(0.0001)


def stopped_in_flood() -> Simulated:
    """Stage 10, stopped after 0.2 s of a flood of 10,000 requests/s, in virtual time."""
    return simulate(10, _stop_in_flood, settings_of(10))


async def drain(bench: Bench) -> Findings:
    """SIGTERM amid a flood, at the stages that lose the queue and at the one that does not."""
    stages = (7, 8, 10) if bench.quick else (5, 6, 7, 8, 9, 10)
    stops = {}
    for number, stage in enumerate(stages):
        bench.on_progress(f"SIGTERM amid a flood of stage {stage}", number, len(stages))
        stops[stage] = await stop_amid_flood(STOP_AFTER_S, CONCURRENCY, stage)
    (virtual,) = await bench.compute(stopped_in_flood, [()])
    for stage, stop in stops.items():
        if stop.promised != stop.accepted:
            said = f"{stop.promised} promised to clients, {stop.accepted} accepted"
            bench.differ(f"stage {stage}", [said])
        if stop.accepted != stop.processed + stop.abandoned:
            bench.differ(f"stage {stage}", ["accepted is not processed + abandoned"])
    last = stops[10]
    final = virtual.final
    hard = {stage: stop for stage, stop in stops.items() if stage < 10}
    return Findings(
        comparisons=(
            Comparison(
                quantity="accepted and lost by a stop amid a flood, stage 10",
                document="0 (drains for at most 10 s)",
                measured=last.abandoned,
                virtual=final["abandoned"],
                model=0,
            ),
            Comparison(
                quantity="from SIGTERM to the end, stage 10",
                unit="s",
                measured=known(last.took_s),
                virtual=known(virtual.recording.completed_s[-1] - 0.2),
                model=known(1000 / (16 / 0.011)),
                digits=2,
                note="the model: a full queue ÷ the workers' rate",
            ),
        ),
        tables=(
            Table(
                title=f"SIGTERM {STOP_AFTER_S:g} s into a flood over {CONCURRENCY} connections",
                columns=(
                    Column("stage", "", "setting"),
                    Column("accepted", "", "accepted"),
                    Column("processed", "", "processed"),
                    Column("abandoned", "", "rejected"),
                    Column("exit status", "", "measured"),
                    Column("took", "s", "measured", 2),
                ),
                rows=tuple(
                    (
                        float(stage),
                        stop.accepted,
                        stop.processed,
                        stop.abandoned,
                        stop.exit_status,
                        known(stop.took_s),
                    )
                    for stage, stop in stops.items()
                ),
                caption="Stages 5 to 9 lose what is queued, say how many that were, and exit with "
                "3.",
            ),
        ),
        verdicts=(
            judge(
                "Stage 10 loses nothing: accepted = processed after SIGTERM amid a flood.",
                last.accepted == last.processed and last.exit_status == 0,
                f"{last.accepted} accepted, {last.processed} processed, {last.drained} of them "
                f"after the signal, in {last.took_s:.2f} s, exit status {last.exit_status}",
                "document",
            ),
            judge(
                "The same in virtual time, exactly.",
                final["accepted"] == final["processed"] and not final["abandoned"],
                f"{final['accepted']} accepted, {final['processed']} processed",
            ),
            judge(
                "It is over within the deadline of 10 s.",
                last.took_s < 10,
                f"{last.took_s:.2f} s",
                "document",
            ),
            judge(
                "The stages before lose the queue, and count what they lose.",
                all(stop.abandoned and stop.exit_status == 3 for stop in hard.values()),
                ", ".join(f"stage {stage}: {stop.abandoned} lost" for stage, stop in hard.items()),
            ),
        ),
    )


EXPERIMENTS = (
    Experiment(
        id="metrics",
        group=GROUP,
        stages=(8, 9),
        title="Metrics that are no hot lock themselves",
        question="Do the figures add up under load, and what do they cost?",
        mode="real",
        run=metrics,
        command="python -m clients.pairs 8 9",
    ),
    Experiment(
        id="drain",
        group=GROUP,
        stages=(5, 6, 7, 8, 9, 10),
        title="SIGTERM amid a flood",
        question="What becomes of the jobs that were accepted?",
        mode="both",
        run=drain,
        command="python -m clients.soak drain",
    ),
)
