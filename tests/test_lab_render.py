"""The lab's report, of figures made up by hand: in the terminal, as a page, as Markdown."""

from __future__ import annotations

import dataclasses
import re
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
import rich.console

from clients.lab.__main__ import main
from clients.lab.cells import cell, comparison, table
from clients.lab.draw import draw
from clients.lab.draw.curves import quantile
from clients.lab.draw.ink import CONDITIONS, ROLES, looks, short
from clients.lab.pages import page, seconds
from clients.lab.render import render
from clients.lab.results import (
    Axis,
    Bar,
    Column,
    Comparison,
    ExperimentResult,
    LabResults,
    Lane,
    Mark,
    Plot,
    Role,
    Series,
    Span,
    Table,
    Verdict,
)
from clients.lab.summary import summary

if TYPE_CHECKING:
    from pathlib import Path

TIMES: tuple[Role, ...] = ("wait", "hold")
TIME, JOBS, RATE = Axis("time", "s"), Axis("jobs"), Axis("throughput", "jobs/s")


def series(name: str, role: Role, *points: tuple[float, float], group: str = "") -> Series:
    return Series(name=name, role=role, points=points, group=group, style="points")


PLOTS = (
    Plot(
        kind="queue_over_time",
        title="The queue",
        x=TIME,
        y=JOBS,
        alt="It fills and drains.",
        series=(
            Series(
                name="queued",
                role="queued",
                points=((0, 0), (0.2, 100), (0.5, 90)),
                style="steps",
            ),
            series("rejected, in all", "rejected", (0, 0), (0.2, 0), (0.5, 4000), group="right"),
        ),
        marks=(Mark("capacity", "y", 100), Mark("flood ends", "x", 0.4, "label")),
    ),
    Plot(
        kind="distribution",
        title="Wait and hold",
        x=Axis("time", "ms", log=True),
        y=Axis("share of acquisitions"),
        series=(
            Series(
                name="wait", role="wait", points=tuple((x * 1.5, x / 100) for x in range(1, 101))
            ),
            Series(name="hold", role="hold", points=((10, 0.5), (10.2, 0.99), (11, 1.0))),
        ),
    ),
    Plot(
        kind="lanes",
        title="Workers",
        x=TIME,
        y=Axis("worker"),
        lanes=(
            Lane("worker 7", (Span(0, 0.6, "work"), Span(0.6, 0.9, "wait"), Span(0.9, 1, "hold"))),
            Lane("worker 12", ()),
        ),
    ),
    Plot(
        kind="sweep",
        title="Throughput against workers",
        x=Axis("workers", log=True),
        y=RATE,
        series=(
            series("measured", "measured", (1, 9), (4, 36), (16, 97), (64, 97)),
            series("in virtual time", "virtual", (1, 9.1), (4, 36.4), (16, 99), (64, 99)),
            Series(name="model", role="model", points=((1, 9.1), (11, 100), (64, 100))),
        ),
        marks=(Mark("1 / hold", "y", 100),),
    ),
    Plot(
        kind="offered_vs_goodput",
        title="Goodput",
        x=Axis("offered load", "× capacity"),
        y=RATE,
        series=(
            series("Poisson", "goodput", (0.1, 10), (1, 90), (2, 99)),
            Series(name="M/M/c/K", role="model", points=((0.1, 10), (1, 95), (2, 100))),
        ),
    ),
    Plot(
        kind="waterfall",
        title="Shares",
        x=Axis("step"),
        y=Axis("share", "%"),
        bars=(
            Bar("capacity", 80, "factor", "first this way"),
            Bar("sharding", 20, "factor", "first this way"),
            Bar("in all", 100, "total", "first this way"),
            Bar("sharding", -5, "factor", "then that way"),
            Bar("capacity", 105, "factor", "then that way"),
            Bar("in all", 100, "total", "then that way"),
        ),
    ),
    Plot(
        kind="bars",
        title="Threads",
        x=Axis("offload"),
        y=RATE,
        bars=(
            Bar("threads", 95, "measured", "4 workers"),
            Bar("tasks", 96, "measured", "4 workers"),
            Bar("threads", 94, "measured", "16 workers"),
            Bar("tasks", 0, "measured", "16 workers"),
        ),
    ),
)

RESULTS = LabResults(
    machine={"python": "3.11"},
    started="2026-11-26T11:40:00+00:00",
    duration_s=151.2,
    quick=True,
    command="python -m clients.lab --quick",
    experiments=(
        ExperimentResult(
            id="stage7",
            group="the document's tables",
            stages=(7,),
            title="Sixteen workers, one lock",
            question="What does one hot lock let through?",
            mode="both",
            duration_s=3.2,
            virtual_s=2000,
            comparisons=(
                Comparison(quantity="accepted", document=138, measured=141, model=140.6),
                Comparison(
                    quantity="rate",
                    unit="jobs/s",
                    document="10 to 12",
                    measured=None,
                    virtual=99.25,
                    model=100,
                    digits=1,
                    note="once the flood has ended",
                ),
            ),
            tables=(
                Table(
                    title="The sweep",
                    columns=(Column("workers"), Column("wait p50", "ms", digits=1)),
                    rows=((1, None), (16, 45.25)),
                ),
            ),
            plots=PLOTS,
            verdicts=(
                Verdict(claim="It is full.", holds=True, measured="100 of 100", source="model"),
                Verdict(
                    claim="It does 10 to 12 jobs/s.",
                    holds=False,
                    measured="97 jobs/s",
                    source="document",
                ),
            ),
            notes=("The lock lets `1 / hold` through, **100 jobs/s**.",),
            command="python -m clients.stress 7 --spawn",
        ),
        ExperimentResult(
            id="broken",
            group="GIL truth",
            stages=(6,),
            title="An experiment <that> could not run",
            question="Why?",
            mode="real",
            verdicts=(Verdict(claim="Threads burn.", holds=None, measured="no build here"),),
            ledger=("user1: 10 accepted, balance 9",),
            error="the server did not start",
        ),
    ),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stress")
    render(RESULTS, folder)
    return folder


def texts(svg: str) -> list[str]:
    tags = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(tag.itertext()) for tag in tags]


@pytest.fixture(scope="module")
def drawn(folder: Path) -> dict[str, list[str]]:
    """The words of each picture, by its kind."""
    return {
        plot.kind: texts(
            (folder / "plots" / f"stage7-{number}-{plot.kind.replace('_', '-')}.svg").read_text(
                "utf-8"
            )
        )
        for number, plot in enumerate(PLOTS, 1)
    }


def test_the_page_has_every_plot_and_table(folder: Path) -> None:
    html = (folder / "index.html").read_text("utf-8")
    assert html.count("<svg ") == len(PLOTS)
    assert html.count("<table>") == 2
    assert "An experiment &lt;that&gt; could not run" in html
    assert "This was a quick run" in html
    assert "2026-11-26 11:40 UTC" in html


def test_a_note_stands_below_the_table() -> None:
    assert "**rate**: once the flood has ended." in page(RESULTS).sections[1].blocks


def test_what_went_wrong_stands_first() -> None:
    first = page(RESULTS).sections[0]
    text = "\n".join(str(block) for block in first.blocks)
    assert "**1 hold**, **1 do not hold here**, 1 could not be observed" in text
    assert "It does 10 to 12 jobs/s. **Here**: 97 jobs/s." in text
    assert "(#broken) went wrong**: the server did not start." in text
    assert "every ledger agreed" not in text


def test_an_experiment_that_failed_says_why(folder: Path) -> None:
    text = (folder / "report.md").read_text("utf-8")
    assert "**It could not run**: the server did not start." in text
    assert "**The ledger differs**: user1: 10 accepted, balance 9." in text


def test_the_markdown_shows_the_files_beside_it(folder: Path) -> None:
    text = (folder / "report.md").read_text("utf-8")
    shown = re.findall(r"!\[[^]]+\]\((plots/[^)]+)\)", text)
    assert sorted(shown) == sorted(
        path.relative_to(folder).as_posix() for path in folder.glob("plots/*")
    )
    assert len(shown) == len(PLOTS)
    assert "**does not hold here**: The document: It does 10 to 12 jobs/s." in text


def test_the_same_results_give_the_same_report(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "of-an-earlier-run.svg").write_text("<svg/>")
    again = LabResults.from_json(RESULTS.to_json())
    assert again == RESULTS
    render(again, tmp_path)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*.*"))
    assert files == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    for file in files:
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()


def test_a_report_is_rendered_again_from_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "results.json"
    file.write_text(LabResults(experiments=RESULTS.experiments[1:]).to_json(), encoding="utf-8")
    assert main(["--render", str(file)]) == 0
    assert "went wrong  broken" in capsys.readouterr().out
    assert "could not run" in (tmp_path / "index.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), ("[]", "holds no results of the lab"), ("{", "Invalid JSON")],
)
def test_what_cannot_be_rendered_is_refused_in_a_line(
    content: str | None, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    with pytest.raises(SystemExit) as stop:
        main(["--render", str(tmp_path / "x.json")])
    assert stop.value.code == 2
    assert reason in capsys.readouterr().err.splitlines()[-1]


def test_without_matplotlib_the_rest_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    html = render(RESULTS, tmp_path).read_text("utf-8")
    assert "<svg" not in html
    assert html.count("pip install &#x27;trio-stages[report]&#x27;") == len(PLOTS)
    assert "It fills and drains." in html
    assert html.count("<table>") == 2
    assert not list(tmp_path.glob("plots/*"))


def test_the_summary_in_a_terminal() -> None:
    console = rich.console.Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(summary(RESULTS))
    text = capture.get()
    assert max(map(len, text.splitlines())) <= 80
    assert "2 experiments in 2 min 31 s: 1 claims hold, 1 do not hold here, 1 not observed" in text
    assert re.search(r"accepted +138 +141 +– +141 +\+0\.3 %", text)
    assert "does not hold here  stage7: The document: It does 10 to 12 jobs/s." in text
    assert "went wrong  broken: the server did not start" in text
    assert "the ledger differs: user1" in text


def test_figures_for_people() -> None:
    assert [cell(value, 1) for value in (-0.04, 0.04, -0.06)] == ["0.0", "0.0", "−0.1"]
    assert [cell(value, 1) for value in (12937, 97.25, -0.5, None, "yes")] == [
        "12,937.0",
        "97.2",
        "−0.5",
        "–",
        "yes",
    ]
    assert [short(value) for value in (0, 0.04567, 9.0909, 97.34, 1440.4)] == [
        "0",
        "0.0457",
        "9.09",
        "97.3",
        "1,440",
    ]
    assert [seconds(value) for value in (0.0421, 3.21, 45.6, 151.2)] == [
        "0.042 s",
        "3.2 s",
        "46 s",
        "2 min 31 s",
    ]


def test_a_comparison_leaves_out_who_has_no_figure() -> None:
    experiment = RESULTS.experiments[0]
    full = comparison(experiment.comparisons)
    assert full.columns == (
        "quantity",
        "document",
        "measured",
        "virtual",
        "model",
        "off model",
    )
    assert full.rows[1] == (
        "rate, jobs/s",
        "10 to 12",
        "–",
        "99.2",
        "100.0",
        "−0.7 %",  # of virtual time, where that is all there is
    )
    alone = comparison([Comparison(quantity="answered", document="no", measured="no")])
    assert alone.columns == ("quantity", "document", "measured")


def test_a_table_rounds_to_its_columns() -> None:
    text = table(RESULTS.experiments[0].tables[0])
    assert text.columns == ("workers", "wait p50, ms")
    assert text.rows == (("1", "–"), ("16", "45.2"))
    assert text.align == "rr"
    words = Table(title="", columns=(Column("who"), Column("answer")), rows=(("a", 1), ("b", 2)))
    assert table(words).align == "lr"


def test_curves_are_named_where_they_run(drawn: dict[str, list[str]]) -> None:
    assert {"measured", "in virtual time", "model", "1 / hold", "workers"} <= set(drawn["sweep"])
    assert {"1", "4", "16", "64"} <= set(drawn["sweep"])  # the settings are the ticks
    assert {"queued", "rejected, in all", "capacity", "flood ends"} <= set(drawn["queue_over_time"])
    assert {"M/M/c/K", "Poisson", "offered load, × capacity"} <= set(drawn["offered_vs_goodput"])


def test_ticks_that_would_touch_give_way_to_round_ones() -> None:
    measured = series("p99", "measured", *((x, 1) for x in (10, 100, 725, 1000, 100_000)))
    ticks = set(texts(draw(dataclasses.replace(PLOTS[3], series=(measured,)))))
    assert {"10", "100", "1,000", "100,000"} <= ticks
    assert "725" not in ticks


def test_a_distribution_says_its_half_and_its_worst(drawn: dict[str, list[str]]) -> None:
    words = " ".join(drawn["distribution"])
    assert "p50 75 · p99 148 ms" in words
    assert "p50 10 · p99 10.2 ms" in words
    assert "50 %" in words
    wait, hold = PLOTS[1].series
    assert quantile(wait, 0.5) == 75
    assert quantile(hold, 0.995) == 11
    assert quantile(hold, 1.0) == 11


def test_lanes_add_up_each_kind_of_time(drawn: dict[str, list[str]]) -> None:
    assert {"work 60 %", "wait 30 %", "hold 10 %", "7", "12"} <= set(drawn["lanes"])


def test_bars_carry_their_figures(drawn: dict[str, list[str]]) -> None:
    assert {"+80 %", "+20 %", "100 %", "−5 %", "first this way", "then that way", "Shares"} <= set(
        drawn["waterfall"]
    )
    assert {"95 jobs/s", "0 jobs/s", "16 workers", "threads"} <= set(drawn["bars"])


def test_bars_have_as_many_digits_as_each_other() -> None:
    some = tuple(Bar(str(value), value, "measured") for value in (0.36, 83.04, 100.0))
    assert {"0.4 jobs/s", "83.0 jobs/s", "100.0 jobs/s"} <= set(
        texts(draw(dataclasses.replace(PLOTS[6], bars=some)))
    )


def test_on_a_logarithmic_scale_bars_are_points() -> None:
    some = tuple(Bar(name, value, "virtual") for name, value in (("mutex", 100), ("sharded", 1455)))
    logarithmic = dataclasses.replace(PLOTS[6], bars=some, y=dataclasses.replace(RATE, log=True))
    assert {"100 jobs/s", "1,455 jobs/s", "200", "500"} <= set(texts(draw(logarithmic)))
    with_a_zero = dataclasses.replace(logarithmic, bars=(*some, Bar("none", 0, "virtual")))
    assert "0 jobs/s" in texts(draw(with_a_zero))


def test_a_condition_has_one_colour_its_model_too() -> None:
    given = [
        series("mutex", "measured", group="mutex"),
        series("model of it", "model", group="mutex"),
        series("sharded", "measured", group="sharded"),
        series("model of all", "model"),
    ]
    assert [colour for colour, _ in looks(given)] == [
        CONDITIONS[0],
        CONDITIONS[0],
        CONDITIONS[1],
        ROLES["model"],
    ]
    assert looks(given[:2]) == [(ROLES["measured"], 0), (ROLES["model"], 0)]


def test_roles_under_two_conditions_keep_their_colours() -> None:
    given = [series(f"{what} {where}", what, group=where) for where in ("a", "b") for what in TIMES]
    assert looks(given) == [
        (ROLES["wait"], 0),
        (ROLES["hold"], 0),
        (ROLES["wait"], 1),
        (ROLES["hold"], 1),
    ]


def crowd(number: int) -> Plot:
    return dataclasses.replace(
        PLOTS[3],
        series=tuple(
            series(
                f"a name of some length, {i}", "measured", *((x, 50 + 0.1 * i) for x in (1, 2, 4))
            )
            for i in range(number)
        ),
    )


def test_names_that_find_no_room_go_into_a_legend() -> None:
    for number in (1, 12):  # beside the line; below the plot
        assert sum("a name of some length" in text for text in texts(draw(crowd(number)))) == number


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.kind)
def test_a_plot_without_any_figures_is_an_empty_one(plot: Plot) -> None:
    empty = dataclasses.replace(
        plot,
        series=tuple(dataclasses.replace(one, points=()) for one in plot.series),
        bars=(),
        lanes=(),
    )
    assert plot.title in " ".join(texts(draw(empty)))
