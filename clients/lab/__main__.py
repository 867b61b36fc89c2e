"""``python -m clients.lab [N | NAME …]``: make the experiments, print a summary, write the report.

Exit status 0 when every experiment ran and no ledger differed, whatever became of the claims.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from rich.console import Console

from clients import command
from trio_stages.report.machine import machine

from .bench import Bench, processors
from .registry import Findings, UnknownExperiment, all_experiments, chosen
from .render import render
from .results import ExperimentResult, LabResults
from .summary import summary

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from .bench import Flooded, Processors
    from .registry import Experiment

OUTPUT = Path("build/stress")
WIDTH_OF_A_FILE = 110  # columns, where stdout is no terminal that could tell


async def run_one(
    experiment: Experiment,
    *,
    quick: bool,
    processors: Processors,
    on_progress: Callable[[str, int, int], None],
    shared: dict[Hashable, Flooded],
    verbose: bool = False,
) -> ExperimentResult:
    """Make one experiment; an error in it is a result, with its reason.

    Args:
        experiment: to make.
        quick: leave what takes long to virtual time.
        processors: that compute.
        on_progress: told what is being done.
        shared: what experiments before it have measured.
        verbose: print the traceback of an error.
    """
    bench = Bench(quick=quick, processors=processors, on_progress=on_progress, shared=shared)
    started_s = time.perf_counter()
    findings, error = Findings(), None
    try:
        findings = await experiment.run(bench)
    except Exception as failure:
        error = _in_a_line(failure)
        if verbose:
            traceback.print_exc()
    return ExperimentResult(
        id=experiment.id,
        group=experiment.group,
        stages=experiment.stages,
        title=experiment.title,
        question=experiment.question,
        mode=experiment.mode,
        duration_s=round(time.perf_counter() - started_s, 3),
        virtual_s=round(bench.virtual_s, 3),
        comparisons=findings.comparisons,
        tables=findings.tables,
        plots=findings.plots,
        verdicts=findings.verdicts,
        notes=findings.notes,
        command=experiment.command,
        ledger=tuple(bench.ledger),
        error=error,
    )


def _in_a_line(failure: BaseException) -> str:
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return f"{type(failure).__name__}: {failure}".splitlines()[0]


async def run_lab(
    experiments: Sequence[Experiment],
    *,
    quick: bool,
    on_progress: Callable[[str, int, int], None],
    on_result: Callable[[ExperimentResult], None] = lambda result: None,
    verbose: bool = False,
    said: str = "",
) -> LabResults:
    """Make all of these experiments, one after the other.

    Args:
        experiments: to make.
        quick: see ``run_one``.
        on_progress: told what is being done, how much of it is, and of how much.
        on_result: told each result.
        verbose: see ``run_one``.
        said: the command that asked for it, for the results.
    """
    started, started_s = datetime.now(UTC), time.perf_counter()
    results = []
    shared: dict[Hashable, Flooded] = {}
    with processors() as made:
        for number, experiment in enumerate(experiments, start=1):
            head = f"[{number}/{len(experiments)}] {experiment.id}"

            def progress(what: str, done: int, total: int, head: str = head) -> None:
                on_progress(f"{head}: {what}", done, total)

            progress("starts", 0, 1)
            result = await run_one(
                experiment,
                quick=quick,
                processors=made,
                on_progress=progress,
                shared=shared,
                verbose=verbose,
            )
            results.append(result)
            on_result(result)
    return LabResults(
        machine=machine(),
        started=started.isoformat(timespec="seconds"),
        duration_s=round(time.perf_counter() - started_s, 1),
        quick=quick,
        command=said,
        experiments=tuple(results),
    )


async def _command(options: argparse.Namespace, experiments: Sequence[Experiment]) -> int:
    words = ["python -m clients.lab", *options.what, *(["--quick"] if options.quick else [])]

    def tell(result: ExperimentResult) -> None:
        if not sys.stderr.isatty():
            print(f"{result.id}: {result.duration_s:.1f} s", file=sys.stderr)

    with command.progress() as update:
        results = await run_lab(
            experiments,
            quick=options.quick,
            on_progress=update,
            on_result=tell,
            verbose=options.verbose,
            said=" ".join(words),
        )
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.json").write_text(results.to_json(), encoding="utf-8")
    report(results, options.out)
    return 0 if results.ok else 1


def report(results: LabResults, folder: Path) -> None:
    """Print the summary, write the pages."""
    Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE).print(summary(results))
    print(f"\nthe report: {render(results, folder)}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    experiments = all_experiments()
    parser = argparse.ArgumentParser(
        prog="python -m clients.lab",
        description="Every table of the document beside ours, and what explains them.",
    )
    parser.add_argument(
        "what", nargs="*", metavar="N|NAME", help="stages or experiments (default: all)"
    )
    parser.add_argument("--quick", action="store_true", help="under 3 minutes, not 10")
    parser.add_argument("--list", action="store_true", help="print the experiments, run none")
    parser.add_argument("--verbose", action="store_true", help="tracebacks of what could not run")
    parser.add_argument("--out", type=Path, default=OUTPUT, metavar="DIRECTORY")
    parser.add_argument(
        "--render", type=Path, metavar="FILE", help="of a results.json, beside it; run nothing"
    )
    options = parser.parse_args(arguments)
    if options.render:
        try:
            results = LabResults.from_json(options.render.read_bytes())
        except OSError as error:
            parser.error(f"{options.render}: {error.strerror}")
        except ValidationError as error:
            why = error.errors()[0]["msg"]
            parser.error(f"{options.render} holds no results of the lab: {why}")
        report(results, options.render.parent)
        return 0
    try:
        wanted = chosen(experiments, options.what)
    except UnknownExperiment as error:
        parser.error(str(error))
    if options.list:
        for each in wanted:
            print(f"{each.id:16} {', '.join(map(str, each.stages)):8} {each.question}")
        return 0
    return command.run(partial(_command, options, wanted))


if __name__ == "__main__":
    sys.exit(main())
