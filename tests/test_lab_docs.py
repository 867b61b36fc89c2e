"""The page about the lab shows what its committed run found, and what the model computes."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from clients.lab.draw import draw
from clients.lab.excerpt import PARTS, SHOWN, excerpt, main, part, plots
from clients.lab.results import LabResults
from trio_stages.model import service_rate_per_s
from trio_stages.queueing import little_s

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "lab.md").read_text("utf-8")
SAMPLE = DOCS / "lab"


@pytest.fixture(scope="module")
def results() -> LabResults:
    return LabResults.from_json((SAMPLE / "results.json").read_bytes())


@pytest.mark.parametrize("name", PARTS)
def test_what_the_page_includes_is_what_the_run_found(name: str, results: LabResults) -> None:
    assert (SAMPLE / f"{name}.md").read_text("utf-8") == part(results, name) + "\n"


def test_the_page_shows_the_whole_sample(results: LabResults) -> None:
    included = re.findall(r"^```\{(?:include|image)\} lab/(\S+)$", PAGE, re.MULTILINE)
    assert set(included) <= {path.name for path in SAMPLE.iterdir()}
    shown = {name for name in included if name.endswith(".svg")}
    assert shown == set(plots(results)) == {path.name for path in SAMPLE.glob("*.svg")}
    assert {f"{name}.md" for name in ("run", "decomposition", "sharding-alone", "failed")} <= set(
        included
    )


def words(svg: str) -> list[str]:
    tags = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(tag.itertext()) for tag in tags]


def test_the_plots_are_of_these_results(results: LabResults) -> None:
    """Their words, figures and ticks included; another matplotlib may place them otherwise."""
    for name, plot in plots(results).items():
        assert words((SAMPLE / name).read_text("utf-8")) == words(draw(plot))


def test_an_excerpt_loses_plots_and_nothing_else(results: LabResults, tmp_path: Path) -> None:
    assert excerpt(results).to_json() != ""
    assert [one.verdicts for one in excerpt(results).experiments] == [
        one.verdicts for one in results.experiments
    ]
    assert main([str(SAMPLE / "results.json"), str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in SAMPLE.iterdir()}


def test_the_sample_went_well(results: LabResults) -> None:
    assert results.ok
    assert {one.id for one in results.experiments} >= set(SHOWN)
    shares = next(one for one in results.experiments if one.id == "decomposition").verdicts
    assert next(v for v in shares if "adds up" in v.claim).holds


def test_the_models_table_is_computed() -> None:
    rows = re.findall(
        r"^\| (stage \d.*?) \| (\d+) \| (\d+) \| (\d+) \| (yes|no) \| ([\d,]+) \|$",
        PAGE,
        re.MULTILINE,
    )
    assert len(rows) == 6
    for name, workers, work_ms, hold_ms, one_lock, per_s in rows:
        rate = service_rate_per_s(
            int(workers), int(work_ms) / 1000, int(hold_ms) / 1000, one_lock=one_lock == "yes"
        )
        assert f"{rate:,.0f}" == per_s, name


def test_littles_law_in_figures() -> None:
    assert f"a queue of 1,000 in front of 1,455 jobs/s is {little_s(1000, 1455):.2f} s" in (
        PAGE.replace("\n  ", " ").replace("A queue", "a queue")
    )
