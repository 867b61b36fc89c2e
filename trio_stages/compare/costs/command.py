"""``python -m trio_stages compare costs``: measure, and print the tables."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from trio_stages.options import UsageError

from .measure import ROUNDS, measure
from .operations import BY_NAME, OPERATIONS, columns_at_hand
from .tables import figures, left_over, ratios

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .operations import Operation

WIDTH_OF_A_FILE = 160  # columns, where stdout is no terminal that could tell
OK, FAILED = 0, 1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"compare costs: {message}")


def main(arguments: Sequence[str]) -> int:
    """Run the command; return 0, or 1 where a run failed or left something behind.

    Raises:
        UsageError: the arguments are wrong.
    """
    options = _parser().parse_args(list(arguments))
    for name in options.operations:
        if name not in BY_NAME:
            known = ", ".join(BY_NAME)
            raise UsageError(f"compare costs: there is no operation {name!r}; there are {known}")
    operations = [op for op in OPERATIONS if op.name in (options.operations or BY_NAME)]
    columns = columns_at_hand()
    total = len(operations) * len(columns) * options.rounds
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with progress:
        task = progress.add_task("costs", total=total)

        def on_run(operation: Operation, column: str) -> None:
            progress.update(task, description=f"{operation.title}, {column}", advance=1)

        costs = measure(
            operations=operations, columns=columns, rounds=options.rounds, on_run=on_run
        )
    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)
    console.print(figures(costs).rich())
    console.print(ratios(costs).rich())
    print(f"At the end of the runs: {left_over(costs)}.")
    if options.json is not None:
        try:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            costs.save(options.json)
        except OSError as error:
            print(f"trio_stages: {options.json}: {error.strerror}", file=sys.stderr)
            return FAILED
    return OK if costs.clean else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="trio_stages compare costs",
        description="What the same work costs on Trio and on asyncio.",
        epilog="Exit status 1: a run failed, or left tasks or connections behind.",
    )
    parser.add_argument(
        "operations", nargs="*", metavar="OPERATION", help=f"of {', '.join(BY_NAME)}; default: all"
    )
    parser.add_argument(
        "--rounds", type=_rounds, default=ROUNDS, help=f"how often (default {ROUNDS})"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser


def _rounds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number between 1 and 1000")
    return int(text)
