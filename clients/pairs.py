"""``python -m clients.pairs 8 9``: two stages, or two settings, under the same load, in turn.

Machines drift, shared ones within seconds, so one figure after another proves little. Here a pair
is two servers that run at the same time. Each gets the load several times, A, B, B, A and so on,
and works off its backlog before the other has its turn. What is quoted is the median of the ratios
pair by pair: jobs per second of the backlog, requests answered per second, and the server's CPU
time for each (read in /proc: Linux). A pair of which one side has no such figure, as without a
backlog, is left out, and it is said how many are left.
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
    """One run of one side; None: it could not be measured."""

    drain_per_s: float | None
    requests_per_s: float
    cpu_us_per_request: float | None
    ledger_ok: bool

    @classmethod
    def of(cls, reports: Sequence[Report], used_s: float) -> Run:
        """Summarise the turns of a server that used so many seconds of CPU time."""
        answered = sum(report.result.sent - report.result.unknown for report in reports)
        took_s = sum(report.result.duration_s for report in reports)
        # Without those that were too short to be measured.
        drains = [rate for report in reports if report.drain and (rate := report.drain.rate_per_s)]
        return cls(
            drain_per_s=statistics.fmean(drains) if drains else None,
            requests_per_s=answered / took_s if took_s else 0.0,  # it never answered
            # Nan without /proc, and 0 below its resolution.
            cpu_us_per_request=used_s / answered * 1e6 if answered and used_s > 0 else None,
            ledger_ok=all(report.ok for report in reports),
        )


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
    return [Run.of(*each) for each in zip(reports, used_s, strict=True)]


def ratios(figure: str, a: Sequence[Run], b: Sequence[Run]) -> list[float]:
    """B / A of each pair in which both sides have this figure, in the order of size."""
    both = [(getattr(x, figure), getattr(y, figure)) for x, y in zip(a, b, strict=True)]
    return sorted(y / x for x, y in both if x and y is not None)


def table(names: Sequence[str], runs: Sequence[Sequence[Run]]) -> str:
    """The medians of both sides, and the median, lowest and highest ratio B / A, pair by pair."""
    lines = [f"{'':22}{names[0]:>12}{names[1]:>12}   B / A, pair by pair"]
    for figure in ("drain_per_s", "requests_per_s", "cpu_us_per_request"):
        row = f"{figure:22}"
        for side in runs:
            values = [value for run in side if (value := getattr(run, figure)) is not None]
            row += f"{statistics.median(values):12,.1f}" if values else f"{'-':>12}"
        if found := ratios(figure, *runs):
            row += f"   median {statistics.median(found):.3f} ({found[0]:.3f} to {found[-1]:.3f})"
        if len(found) < len(runs[0]):
            row += f"   {len(found)} of {len(runs[0])} pairs"
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
