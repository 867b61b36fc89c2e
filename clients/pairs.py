"""``python -m clients.pairs 8 9``: two stages, or two settings, under the same load, in turn.

Machines drift, shared ones within seconds, so one figure after another proves little. Here a pair
is two servers that run at the same time. Each gets the load several times, A, B, B, A and so on,
and works off its backlog before the other has its turn. What is quoted is the median of the ratios
pair by pair: jobs per second of the backlog, requests per second, and the server's CPU time per
request (read in /proc: Linux).
"""

from __future__ import annotations

import dataclasses
import math
import os
import statistics
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from . import command
from .loads import LOADS, Load
from .spawn import spawned
from .stress import measure

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from .report import Report

PAIRS = 9
TURNS = 12  # an even number: the drift of a minute cancels


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one side."""

    drain_per_s: float
    requests_per_s: float
    cpu_us_per_request: float
    ledger_ok: bool


def cpu_s(pid: int) -> float:
    """CPU time that a process has used, in seconds, all its threads together; nan without /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return math.nan
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Side:
    """A stage, the options of its server, and its load."""

    stage: int
    options: Sequence[str]
    load: Load


async def run_pair(sides: Sequence[Side], turns: int) -> list[Run]:
    """Start both, give each so many turns of its load and the drain behind it, and stop them."""
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(spawned(side.stage, side.options)) for side in sides
        ]
        reports: tuple[list[Report], ...] = ([], [])
        used_s = [0.0, 0.0]
        for turn in range(turns):
            for this in (0, 1) if turn % 2 == 0 else (1, 0):  # who goes first must not matter
                side, server = sides[this], servers[this]
                before_s = cpu_s(server.pid)
                reports[this].append(await measure(side.stage, side.load, server.url))
                used_s[this] += cpu_s(server.pid) - before_s
    return [_run(*each) for each in zip(reports, used_s, strict=True)]


def _run(reports: Sequence[Report], used_s: float) -> Run:
    sent = sum(report.result.sent for report in reports)
    # Without those that were too short to be measured.
    drains = [rate for report in reports if report.drain and (rate := report.drain.rate_per_s)]
    return Run(
        drain_per_s=statistics.fmean(drains) if drains else 0.0,
        requests_per_s=sent / sum(report.result.duration_s for report in reports),
        cpu_us_per_request=used_s / sent * 1e6,
        ledger_ok=all(report.ok for report in reports),
    )


def table(names: Sequence[str], runs: Sequence[Sequence[Run]]) -> str:
    """The medians of both sides, and the median, lowest and highest ratio B / A, pair by pair."""
    lines = [f"{'':22}{names[0]:>12}{names[1]:>12}   B / A, pair by pair"]
    for figure in ("drain_per_s", "requests_per_s", "cpu_us_per_request"):
        a, b = ([getattr(run, figure) for run in side] for side in runs)
        row = f"{figure:22}{statistics.median(a):12,.1f}{statistics.median(b):12,.1f}"
        if all(a):
            ratios = sorted(y / x for x, y in zip(a, b, strict=True))
            median = statistics.median(ratios)
            row += f"   median {median:.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
        lines.append(row)
    return "\n".join(lines)


async def _command(options: argparse.Namespace, both: list[str]) -> int:
    stages = (options.a, options.b)
    load = LOADS[options.a]
    if options.requests is not None:
        load = dataclasses.replace(load, requests=options.requests)
    extra = (options.a_options.split(), options.b_options.split())
    sides = [Side(stage, [*both, *more], load) for stage, more in zip(stages, extra, strict=True)]
    runs: tuple[list[Run], list[Run]] = ([], [])
    with command.progress() as update:
        for pair in range(options.pairs):
            for side, run in zip(runs, await run_pair(sides, options.turns), strict=True):
                side.append(run)
            update("pairs", pair + 1, options.pairs)
    names = [" ".join([f"stage {stage}", *more]) for stage, more in zip(stages, extra, strict=True)]
    print(table(names, runs))
    command.write_json(
        options.json,
        [
            {"side": name, "runs": [dataclasses.asdict(run) for run in side]}
            for name, side in zip(names, runs, strict=True)
        ],
    )
    ok = all(run.ledger_ok for side in runs for run in side)
    print("Ledger: OK in every run" if ok else "Ledger: differences, see clients.stress")
    return 0 if ok else 1


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = command.parser("pairs", "Compare two stages under the load of the first, in turn.")
    parser.add_argument("a", type=int, choices=LOADS, metavar="A", help="a stage")
    parser.add_argument("b", type=int, choices=LOADS, metavar="B", help="another, or the same")
    parser.add_argument("--pairs", type=command.positive, default=PAIRS, metavar="N")
    parser.add_argument("--requests", type=command.positive, metavar="N", help="in a turn")
    parser.add_argument("--turns", type=command.positive, default=TURNS, metavar="N")
    parser.add_argument("--a-options", default="", metavar="OPTIONS", help="of the server of A")
    parser.add_argument("--b-options", default="", metavar="OPTIONS", help="of the server of B")
    options = parser.parse_args(arguments[:split])
    return command.run(partial(_command, options, arguments[split + 1 :]))


if __name__ == "__main__":
    sys.exit(main())
