"""``python -m clients.bench scale [SWEEP …]``: how cost grows, and what bends first.

- ``connections``   10 to 10,000: CPU time for an event, and memory for an idle connection
- ``workers``       1 to 256, jobs in tasks and in threads: jobs per second beside workers ÷ 11 ms
- ``users``         10 to 1,000,000: CPU time for an event, and memory for a user
- ``shards``        1 to 1,024: jobs per second of 16 workers
"""

from __future__ import annotations

import dataclasses
import math
import sys
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from clients import command
from trio_stages.report.machine import machine
from trio_stages.report.page import Figure, Page, Section
from trio_stages.report.plots import COLOURS, svg
from trio_stages.report.tables import Table

from . import generate, pages, sweeps
from .sweeps import BEND, Sweep

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

CONNECTIONS = (10, 100, 1000, 3000, 10_000)
WORKERS = (1, 4, 16, 64, 256)
USERS = (10, 1000, 100_000, 1_000_000)
SHARDS = (1, 4, 16, 64, 256, 1024)
NAMES = ("connections", "workers", "users", "shards")
SECONDS = 3.0
# What --quick leaves of a sweep, and of its seconds.
QUICK_POINTS, QUICK_SECONDS = 3, 1.0


async def measure(
    names: Sequence[str],
    *,
    quick: bool,
    on_progress: Callable[[str, int, int], object] = lambda what, done, total: None,
) -> list[Sweep]:
    """Run these sweeps.

    Args:
        names: which.
        quick: only the first points of each.
        on_progress: called after each point.

    Raises:
        ClientError: a server failed, or not so many descriptors are allowed.
    """

    def some(counts: tuple[int, ...]) -> tuple[int, ...]:
        return counts[:QUICK_POINTS] if quick else counts

    found = []
    if "connections" in names:
        seconds = QUICK_SECONDS if quick else SECONDS
        found.append(await sweeps.connections(some(CONNECTIONS), seconds, on_progress))
    if "workers" in names:
        for offload in ("task", "thread"):
            found.append(await sweeps.workers(some(WORKERS), offload, on_progress))
    if "users" in names:
        for state in ("sharded", "per-user"):
            found.append(
                await sweeps.users(some(USERS)[: 2 if quick else None], state, on_progress)
            )
    if "shards" in names:
        found.append(await sweeps.shards(some(SHARDS), on_progress))
    return found


def sentence(sweep: Sweep) -> str:
    """What became of the figure, and where it bends."""
    first, last = sweep.points[0], sweep.points[-1]
    start, end = (point.figures[sweep.figure] for point in (first, last))
    text = (
        f"From {first.at:,} to {last.at:,} {sweep.unit}: {sweep.figure} {start:,.1f} to {end:,.1f}"
    )
    if sweep.bends_at is None:
        straight = next(point.at for point in sweep.points if sweep.straight_from(point))
        beside = "its model" if sweep.model else "the best of them"
        where = "nowhere" if straight == first.at else f"from {straight:,} on no longer"
        return f"{text}; {where} more than {BEND:g} times worse than {beside}."
    strain = sweep.strain(last)
    return f"{text}; bent from {sweep.bends_at:,} on, {strain:.1f} times worse at the end."


def bends_first(found: Sequence[Sweep]) -> str:
    """Which sweep bends first on its way, measured in factors of ten."""
    bent = [(_way(sweep), sweep) for sweep in found if sweep.bends_at is not None]
    if not bent:
        return f"Nothing bends: all stay within {BEND:g} times their best."
    way, sweep = min(bent, key=lambda each: each[0])
    return (
        f"What bends first is **{sweep.name}**, at {sweep.bends_at:,} {sweep.unit}, "
        f"{way:.0%} of the way from {sweep.points[0].at:,} to {sweep.points[-1].at:,}."
    )


def _way(sweep: Sweep) -> float:
    first, last = sweep.points[0].at, sweep.points[-1].at
    return (
        math.log((sweep.bends_at or last) / first) / math.log(last / first) if last > first else 0
    )


def table(sweep: Sweep) -> Table:
    """All figures of a sweep."""
    names = list(dict.fromkeys(name for point in sweep.points for name in point.figures))
    return Table(
        columns=(sweep.unit, *names, "× worse"),
        rows=tuple(
            (
                f"{point.at:,}",
                *(f"{point.figures[n]:,.1f}" if n in point.figures else "-" for n in names),
                f"{sweep.strain(point):.2f}",
            )
            for point in sweep.points
        ),
        caption=f"{sweep.name}: {sweep.title}",
        align="r" * (len(names) + 2),
    )


def figure(sweep: Sweep) -> Figure:
    """What the sweep is judged by, and its model."""
    at = [point.at for point in sweep.points]
    values = [point.figures[sweep.figure] for point in sweep.points]

    def draw(axes: Axes) -> None:
        axes.plot(at, values, "o-", color=COLOURS["measured"], label="measured")
        if sweep.model:
            model = [sweep.model[count] for count in at]
            axes.plot(at, model, "--", color=COLOURS["model"], label="model")
            axes.legend()
        axes.set_xscale("log")
        if max(values) > 20 * min(values) > 0:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.set_xticks(at, [f"{count:,}" for count in at])
        axes.minorticks_off()

    return Figure(
        svg=svg(draw, xlabel=sweep.unit, ylabel=sweep.figure),
        caption=sentence(sweep),
        alt=", ".join(f"{count:,}: {value:,.1f}" for count, value in zip(at, values, strict=True)),
    )


def page(found: Sequence[Sweep], stamp: dict[str, str], *, plots: bool = True) -> Page:
    """All of it."""
    return Page(
        title="How cost grows",
        intro=bends_first(found) + f" Bent is what is more than {BEND:g} times worse than its "
        "model, or than the best of its row, from there to the end.",
        stamp=stamp,
        sections=tuple(
            Section(
                title=sweep.name[0].upper() + sweep.name[1:],
                blocks=(table(sweep), figure(sweep) if plots else sentence(sweep)),
            )
            for sweep in found
        ),
    )


async def _command(options: argparse.Namespace) -> int:
    with command.progress() as update:
        found = await measure(options.sweeps or NAMES, quick=options.quick, on_progress=update)
    console = Console(width=None if sys.stdout.isatty() else pages.WIDTH_OF_A_FILE)
    for sweep in found:
        console.print(table(sweep).rich())
        print(sentence(sweep), end="\n\n")
    print(bends_first(found).replace("**", ""))
    stamp = machine() | {"load generator": await generate.describe(generate.available())}
    results = {"stamp": stamp, "sweeps": [dataclasses.asdict(sweep) for sweep in found]}
    command.write_json(options.json, results)
    pages.write(options.out, results, lambda plots: page(found, stamp, plots=plots))
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    parser = command.parser("bench scale", "How cost grows, and what bends first.")
    parser.add_argument("sweeps", nargs="*", metavar="SWEEP", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="only the first points of each")
    pages.add_out(parser, "scale")
    options = parser.parse_args(arguments)
    for name in options.sweeps:
        if name not in NAMES:
            parser.error(f"there is no {name}; choose from {', '.join(NAMES)}")
    return command.run(partial(_command, options))
