"""``python -m clients.suite [N …]``: every stage in turn under the document's load, and one table.

Each stage is started on a free port, flooded, drained, checked and stopped. ``--json`` keeps all of
their reports (an array of what ``clients.stress N --json`` writes). Exit status 1 if a ledger
differs.
"""

from __future__ import annotations

import argparse
import math
import sys
from functools import partial
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from trio_stages.ladder import STAGES

from . import command
from .loads import LOADS, TITLES
from .stress import measure_spawned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .report import Report

WIDTH_OF_A_FILE = 100  # columns, where stdout is no terminal that could tell
FIGURES = (
    *("sent", "accepted", "model", "rejected", "errors", "requests\n/s"),
    *("jobs/s\nflood", "jobs/s\ndrain", "jobs/s\nmodel"),
)


async def measure_all(
    stages: Sequence[int], on_progress: Callable[[str, int, int], None]
) -> list[Report]:
    """Run the stages one after the other, each under its own load.

    Raises:
        ClientError: a stage did not start, or this side ran out of sockets.
    """
    reports = []
    for stage in stages:

        def of_stage(what: str, done: int, total: int, name: str = f"stage {stage}") -> None:
            on_progress(f"{name}: {what}", done, total)

        reports.append(await measure_spawned(stage, LOADS[stage], on_progress=of_stage))
    return reports


def table(reports: Iterable[Report]) -> Table:
    """One row a stage; a dash where there is nothing to measure. Stages 1 and 2: the echo check."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    made.add_column("stage")
    for figure in FIGURES:
        made.add_column(figure, justify="right", no_wrap=True)
    made.add_column("ledger", no_wrap=True)
    for report in reports:
        result, model, drain = report.result, report.model, report.drain
        made.add_row(
            f"{report.stage} {TITLES[report.stage]}",
            _figure(result.sent),
            _figure(result.accepted),
            _figure(model.accepted(result.sent, result.duration_s) if model else None),
            _figure(result.rejected),
            _figure(result.errors),
            _figure(result.throughput_per_s),
            _figure(report.during_flood_per_s, ".1f"),
            _figure(drain.rate_per_s if drain else None, ".1f"),
            _figure(model.rate_per_s if model else None, ".1f"),
            "OK" if report.ok else "[red]DIFFERS[/]",
        )
    return made


def _figure(value: float | None, digits: str = ".0f") -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:,{digits}}"


async def _command(options: argparse.Namespace) -> int:
    with command.progress() as update:
        reports = await measure_all(options.stages, update)
    Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE).print(table(reports))
    for report in reports:
        for difference in report.differences:
            print(f"stage {report.stage}: {difference}")
    command.write_json(options.json, [report.to_json() for report in reports])
    return 0 if all(report.ok for report in reports) else 1


def stage_number(text: str) -> int:
    if int(text) not in STAGES:  # argparse holds a default against `choices`, too
        raise argparse.ArgumentTypeError(f"there is no stage {text}")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = command.parser("suite", "Measure every stage, or some, and print one table.")
    parser.add_argument("stages", type=stage_number, nargs="*", default=sorted(STAGES), metavar="N")
    return command.run(partial(_command, parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
