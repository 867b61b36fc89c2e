"""``python -m trio_stages compare``: run the comparison, print the table."""

from __future__ import annotations

import argparse
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from trio_stages.options import UsageError

from .costs import Costs
from .costs import command as costs_command
from .lines import shell_lines
from .report import page, write
from .run import CompareError, run_all, this_python
from .scenario import COLUMNS
from .scenarios import scenarios
from .summary import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .results import CompareResults
    from .run import OnProgress
    from .scenario import Scenario

WIDTH_OF_A_FILE = 160  # columns, where stdout is no terminal that could tell
OK, FAILED = 0, 1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"compare: {message}")


def main(arguments: Sequence[str]) -> int:
    """Run the command; return 0, or 1 where something was not as expected.

    Raises:
        UsageError: the arguments are wrong.
    """
    if arguments[:1] == ["costs"]:
        return costs_command.main(arguments[1:])
    options = _parser().parse_args(list(arguments))
    wanted = [_scenario(word) for word in options.scenarios] or list(scenarios().values())
    columns = [column for column in COLUMNS if column in (options.column or COLUMNS)]
    pythons = options.python or [this_python()]
    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)
    try:
        costs = Costs.load(options.costs) if options.costs else None
        with _progress() as on_progress:
            results = _run(wanted, columns, pythons, on_progress)
        console.print(table(results, scenarios()))
        lines = ", ".join(f"{column} {count}" for column, count in shell_lines().items())
        console.print(f"Lines of code in the shells: {lines}", highlight=False)
        for cell in results.cells:
            for difference in cell.differences:
                print(f"{cell.scenario} {cell.column} on {cell.python}: {difference}")
        unfounded = [
            scenario
            for scenario in wanted
            if not scenario.label_follows([c for c in results.cells if c.scenario == scenario.id])
        ]
        for scenario in unfounded:
            print(f"{scenario.id}: its cells do not say {scenario.label.value!r}")
        if options.json is not None:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            results.save(options.json)
        if options.html or options.markdown:
            write(page(results, scenarios(), costs), options.html, options.markdown)
    except (CompareError, OSError, ValueError) as error:
        print(f"trio_stages: {error}", file=sys.stderr)
        return FAILED
    return OK if results.agrees and not unfounded else FAILED


def _run(
    wanted: Sequence[Scenario],
    columns: Sequence[str],
    pythons: Sequence[str],
    on_progress: OnProgress,
) -> CompareResults:
    """Run the cells; Ctrl-C comes out of the nursery as what it is (S11)."""
    try:
        return trio.run(run_all, wanted, columns, pythons, on_progress)
    except BaseExceptionGroup as errors:
        if errors.subgroup(KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="trio_stages compare",
        description="The same ingest server on Trio and on asyncio, and what becomes of it.",
        epilog="'compare costs' measures what each column pays for the same work. Exit status 1: "
        "something was not as the registry of scenarios expects.",
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="such as S3; default: all")
    parser.add_argument("--column", action="append", choices=COLUMNS, help="default: all")
    parser.add_argument(
        "--python",
        action="append",
        metavar="PATH",
        help="an interpreter with trio, h11, pydantic (and anyio); may be given more than once",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results there")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report as a page")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write it as Markdown, its pictures beside it"
    )
    parser.add_argument(
        "--costs",
        type=Path,
        metavar="FILE",
        help="figures of 'compare costs --json FILE', which the report then begins with",
    )
    return parser


def _scenario(word: str) -> Scenario:
    for scenario in scenarios().values():
        if word.lower() in (scenario.id.lower(), scenario.name):
            return scenario
    known = ", ".join(scenarios())
    raise UsageError(f"compare: there is no scenario {word!r}; there are {known}")


@contextmanager
def _progress() -> Iterator[OnProgress]:
    """A bar on stderr, if that is a terminal."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task("compare", total=None)

        def on_progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield on_progress
