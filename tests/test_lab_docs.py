"""The page about the lab shows what its committed run found, and what the model computes."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from clients.lab.draw.curves import quantile
from clients.lab.excerpt import PARTS, SHOWN, main, part, plots
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
    shown = {name for name in included if name.endswith(".md")}
    assert shown == {f"{name}.md" for name in PARTS}


def words(svg: str) -> list[str]:
    tags = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(tag.itertext()) for tag in tags]


def test_the_sample_can_be_made_again(tmp_path: Path) -> None:
    """Words, figures and ticks of its plots; another matplotlib may place them otherwise."""
    assert main([str(SAMPLE / "results.json"), str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in SAMPLE.iterdir()}
    for again in tmp_path.iterdir():
        committed = (SAMPLE / again.name).read_text("utf-8")
        if again.suffix == ".svg":
            assert words(again.read_text("utf-8")) == words(committed)
        else:
            assert again.read_text("utf-8") == committed


def test_the_sample_went_well(results: LabResults) -> None:
    assert results.ok
    assert {one.id for one in results.experiments} >= set(SHOWN)
    shares = next(one for one in results.experiments if one.id == "decomposition").verdicts
    assert next(v for v in shares if "The 11× is there" in v.claim).holds


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


def test_what_the_prose_says_of_the_plots_is_so(results: LabResults) -> None:
    shown = plots(results)
    shares = {bar.label: bar.value for bar in shown["decomposition-1-waterfall.svg"].bars}
    queue = next(value for label, value in shares.items() if label.startswith("queue"))
    sharding = next(value for label, value in shares.items() if label.startswith("mutex"))
    assert queue > 50  # "the longer queue has most of it,
    assert sharding < 10  # sharding next to nothing"

    halves = {one.name: quantile(one, 0.5) for one in shown["hot-lock-2-distribution.svg"].series}
    for where in ("over sockets", "virtual time"):
        ratio = halves[f"wait, {where}"] / halves[f"hold, {where}"]
        assert 4 < ratio < 7  # "waits at about five times as much"

    holds = sorted(
        (span.start_s, span.end_s)
        for lane in shown["hot-lock-3-lanes.svg"].lanes
        for span in lane.spans
        if span.what == "hold"
    )
    assert all(end <= start for (_, end), (start, _) in pairwise(holds))  # "never overlap"

    for one in shown["open-loop-1-offered-vs-goodput.svg"].series:
        if one.role == "virtual":
            most = max(y for _, y in one.points)
            beyond = [y for x, y in one.points if x >= 1.1]
            assert min(beyond) > 0.9 * most  # "stays there"
