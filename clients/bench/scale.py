"""``python -m clients.bench scale [SWEEP …]``: how cost grows, and what bends first.

- ``connections``   10 to 10,000: CPU time for an event, and memory for an idle connection
- ``workers``       1 to 256, jobs in tasks and in threads: jobs per second beside their model
- ``users``         10 to 1,000,000: CPU time for an event, and memory for a user
- ``shards``        1 to 1,024: jobs per second of 16 workers, beside theirs
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.console import Console

from clients import command
from clients.http import ClientError
from trio_stages.report.machine import machine
from trio_stages.report.page import Figure, Page, Section
from trio_stages.report.plots import COLOURS, panels
from trio_stages.report.tables import Table

from . import generate, pages, sweeps
from .sweeps import BEND, Point, Sweep

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

CONNECTIONS = (10, 100, 1000, 3000, 10_000)
WORKERS = (1, 4, 16, 64, 256)
USERS = {
    "sharded": (10, 1000, 100_000, 1_000_000),
    "per-user": (10, 1000, 100_000),  # a lock for each of a million takes a quarter of an hour
}
SHARDS = (1, 4, 16, 64, 256, 1024)
NAMES = ("connections", "workers", "users", "shards")
SECONDS = 3.0
# What --quick leaves of a sweep, and of its seconds.
QUICK_POINTS, QUICK_SECONDS = 3, 1.0
# Up to this factor between lowest and highest a plot starts at 0; room above the highest.
LINEAR, HEADROOM = 20, 1.1


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
        for state, counts in USERS.items():
            found.append(
                await sweeps.users(some(counts)[: 2 if quick else None], state, on_progress)
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
    """What the sweep is judged by, with its model, and the memory beside it."""
    names = [name for name in (sweep.figure, sweep.memory) if name]

    def draw(all_axes: Sequence[Axes]) -> None:
        for axes, name in zip(all_axes, names, strict=True):
            _curve(axes, sweep, name)

    return Figure(
        svg=panels(draw, columns=len(names)),
        caption=sentence(sweep),
        alt="; ".join(
            f"{point.at:,}: "
            + ", ".join(f"{point.figures[n]:,.1f} {n}" for n in names if n in point.figures)
            for point in sweep.points
        ),
    )


def _curve(axes: Axes, sweep: Sweep, name: str) -> None:
    points = [point for point in sweep.points if name in point.figures]
    at = [point.at for point in points]
    values = [point.figures[name] for point in points]
    axes.plot(at, values, "o-", color=COLOURS["measured"], label="measured")
    model = [sweep.model[count] for count in at] if name == sweep.figure and sweep.model else []
    if model:
        axes.plot(at, model, "--", color=COLOURS["model"], label="model")
        axes.legend()
    axes.set_xscale("log")
    if max(values) > LINEAR * min(values) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: _short(round(value)))
    else:
        axes.set_ylim(0, HEADROOM * max(values + model))
    axes.set_xticks(at, [_short(count) for count in at])
    axes.minorticks_off()
    axes.set_xlabel(sweep.unit)
    axes.set_ylabel(name)


def _short(count: int) -> str:
    for size, letter in ((1_000_000, "M"), (1000, "k")):
        if count >= size:
            return f"{count / size:g}{letter}"
    return str(count)


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


def read(path: Path) -> tuple[dict[str, str], list[Sweep]]:
    """An earlier run: its stamp and its sweeps.

    Raises:
        ClientError: it is not there, or no such thing.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        return content["stamp"], [_sweep(**sweep) for sweep in content["sweeps"]]
    except OSError as error:
        raise ClientError(f"{path}: {error.strerror}") from None
    except (KeyError, TypeError, ValueError):
        raise ClientError(f"{path}: no results of `bench scale`") from None


def _sweep(*, points: list[dict[str, Any]], model: dict[str, float], **fields: Any) -> Sweep:
    by_size = {int(at): value for at, value in model.items()}  # JSON's keys are text
    return Sweep(points=tuple(Point(**point) for point in points), model=by_size, **fields)


async def _command(options: argparse.Namespace) -> int:
    if options.earlier:
        runs = [read(path) for path in options.earlier]
        stamp = runs[-1][0]
        found = [sweep for _, of_run in runs for sweep in of_run]
    else:
        with command.progress() as update:
            found = await measure(options.sweeps or NAMES, quick=options.quick, on_progress=update)
        stamp = machine() | {"load generator": await generate.describe(generate.available())}
    console = Console(width=None if sys.stdout.isatty() else pages.WIDTH_OF_A_FILE)
    for sweep in found:
        console.print(table(sweep).rich())
        print(sentence(sweep), end="\n\n")
    print(bends_first(found).replace("**", ""))
    results = {"stamp": stamp, "sweeps": [dataclasses.asdict(sweep) for sweep in found]}
    command.write_json(options.json, results)
    pages.write(options.out, results, lambda plots: page(found, stamp, plots=plots))
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    parser = command.parser("bench scale", "How cost grows, and what bends first.")
    parser.add_argument("sweeps", nargs="*", metavar="SWEEP", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="only the first points of each")
    pages.add_from(parser)
    pages.add_out(parser, "scale")
    options = parser.parse_args(arguments)
    for name in options.sweeps:
        if name not in NAMES:
            parser.error(f"there is no {name}; choose from {', '.join(NAMES)}")
    return command.run(partial(_command, options))
