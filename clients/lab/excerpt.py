"""``python -m clients.lab.excerpt RESULTS FOLDER``: a run made small enough to be committed.

The docs show a sample run. This keeps all of its figures and verdicts, and of its plots those that
the page ``docs/lab.md`` explains; it writes

- ``results.json``, without the other plots
- an SVG file for each plot that is left
- ``NAME.md`` for each of ``PARTS``: what the page includes, so that none of its figures is typed
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trio_stages.report import alone

from .cells import comparison, table
from .draw import draw
from .pages import claim, names, seconds, when
from .results import LabResults

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .results import ExperimentResult, Kind, Plot

# Of an experiment: the first plot of each of these kinds.
SHOWN: dict[str, tuple[Kind, ...]] = {
    "hot-lock": ("queue_over_time", "distribution", "lanes"),
    "workers": ("sweep",),
    "decomposition": ("waterfall",),
}
PARTS = ("run", "hot-lock", "workers", "decomposition", "sharding-alone", "failed")


def excerpt(results: LabResults) -> LabResults:
    """The same run without the plots that are not shown."""
    return replace(
        results,
        experiments=tuple(
            replace(one, plots=tuple(_first(one, SHOWN.get(one.id, ()))))
            for one in results.experiments
        ),
    )


def _first(one: ExperimentResult, kinds: Sequence[Kind]) -> Iterator[Plot]:
    for kind in kinds:
        yield next(plot for plot in one.plots if plot.kind == kind)


def files(results: LabResults) -> dict[str, str]:
    """What belongs into the folder: names to contents.

    Args:
        results: an ``excerpt``.

    Raises:
        KeyError: an experiment that the page shows is not in these results.
    """
    made = {f"{name}.md": part(results, name) + "\n" for name in PARTS}
    made |= {name: alone(draw(plot)) for name, plot in plots(results).items()}
    return made | {"results.json": results.to_json()}


def plots(results: LabResults) -> dict[str, Plot]:
    """The plots that are left, by the names of their files."""
    left = (plot for one in results.experiments for plot in one.plots)
    return dict(zip(names(results), left, strict=True))


def part(results: LabResults, name: str) -> str:
    """What the page includes under this name, as Markdown."""
    if name == "run":
        return "\n\n".join(_run(results))
    if name == "failed":
        return "\n".join(_failed(results))
    if name == "sharding-alone":
        return "\n\n".join(_of(results, "decomposition").notes)
    one = _of(results, name)
    blocks = [comparison(one.comparisons).markdown()] if one.comparisons else []
    blocks += [table(given).markdown() for given in one.tables]
    blocks.append("\n".join(f"- {claim(given).markdown()}" for given in one.verdicts))
    return "\n\n".join(blocks)


def _of(results: LabResults, name: str) -> ExperimentResult:
    return {one.id: one for one in results.experiments}[name]


def _run(results: LabResults) -> Iterator[str]:
    verdicts = [verdict.holds for one in results.experiments for verdict in one.verdicts]
    yield (
        f"**The sample run**: `{results.command}`, {when(results.started)}, "
        f"{len(results.experiments)} experiments in {seconds(results.duration_s)}. Of "
        f"{len(verdicts)} claims {verdicts.count(True)} hold, {verdicts.count(False)} do not hold "
        f"here, {verdicts.count(None)} could not be observed."
    )
    yield "; ".join(f"{name} {value}" for name, value in results.machine.items()) + "."


def _failed(results: LabResults) -> Iterator[str]:
    for one in results.experiments:
        for verdict in one.verdicts:
            if verdict.holds is False:
                yield f"- `{one.id}`: {claim(verdict).claim} **Here**: {verdict.measured}."


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m clients.lab.excerpt", description="The sample run of docs/lab.md."
    )
    parser.add_argument("results", type=Path, help="such as build/stress/results.json")
    parser.add_argument("folder", type=Path, help="such as docs/lab")
    options = parser.parse_args(arguments)
    results = excerpt(LabResults.from_json(options.results.read_bytes()))
    made = files(results)
    options.folder.mkdir(parents=True, exist_ok=True)
    for old in options.folder.glob("*.svg"):
        old.unlink()
    for name, text in made.items():
        (options.folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
