"""What is drawn and written of a comparison says what its cells say."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from trio_stages import cli
from trio_stages.compare import catalogue, command, exhibits
from trio_stages.compare.costs import Costs
from trio_stages.compare.costs.chart import chart
from trio_stages.compare.drawing import Drawing, shortened, width_of
from trio_stages.compare.lanes import Axis, Bar, bars_of, family_of, overlaps, rows_of
from trio_stages.compare.report import (
    cells_of,
    judge,
    metrics_table,
    page,
    verdict,
    write,
)
from trio_stages.compare.results import (
    APPLY,
    CANCEL,
    CLOSE,
    ENDED,
    HANG,
    MARK,
    START,
    STOP,
    Cell,
    CompareResults,
    Event,
    Stamp,
)
from trio_stages.compare.scenario import COLUMNS, Label
from trio_stages.compare.scenarios import scenarios
from trio_stages.compare.timeline import alike, can_be_drawn, named, timeline

if TYPE_CHECKING:
    from pathlib import Path

    from trio_stages.compare.scenario import Scenario

SVG = "{http://www.w3.org/2000/svg}"


def events(*rows: tuple[float, str, str, str]) -> tuple[Event, ...]:
    return tuple(
        Event(at_s=at, kind=kind, lane=lane, label=label) for at, kind, lane, label in rows
    )


OVERLAP = events(
    (0.000, START, "server", "store open"),
    (0.001, MARK, "server", "listening"),
    (0.010, START, "lock: store", "held"),
    (0.011, START, "thread: slow", "slow"),
    (0.100, STOP, "lock: store", "held"),
    (0.101, CANCEL, "job: slow", "timeout"),
    (0.102, START, "lock: store", "held"),
    (0.103, START, "thread: next", "next"),
    (0.104, APPLY, "thread: next", "applied"),
    (0.105, STOP, "thread: next", "next"),
    (0.106, APPLY, "thread: slow", "applied"),
    (0.107, STOP, "thread: slow", "slow"),
    (0.108, STOP, "lock: store", "held"),
    (0.110, CANCEL, "server", "stop"),
    (0.120, CLOSE, "server", "closed"),
)
ORDERLY = events(
    (0.010, START, "lock: store", "held"),
    (0.011, START, "thread: slow", "slow"),
    (0.500, STOP, "thread: slow", "slow"),
    (0.501, STOP, "lock: store", "held"),
    (0.520, CLOSE, "server", "closed"),
)


def cell(column: str = "trio", python: str = "3.11.7", **differently: object) -> Cell:
    values: dict[str, object] = {
        "scenario": "S3",
        "outcome": ENDED,
        "shown": "0 overlaps",
        "wanted": True,
        "metrics": {"outcome": ENDED, "overlaps": 0, "lost": 0},
        "events": ORDERLY,
    }
    return Cell(column=column, python=python, **{**values, **differently})  # type: ignore[arg-type]


def overlapping(column: str, python: str = "3.11.7", **differently: object) -> Cell:
    return cell(
        column,
        python,
        **{
            "shown": "1 overlap",
            "wanted": False,
            "metrics": {"outcome": ENDED, "overlaps": 1, "lost": 0},
            "events": OVERLAP,
            **differently,
        },
    )


S3 = [
    cell("trio"),
    overlapping("modern"),
    overlapping("classic"),
    cell("hardened"),
    cell("anyio"),
]


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def titles(svg: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(svg).iter(f"{SVG}title")]


# Lanes


def test_the_first_that_began_is_the_first_that_ended() -> None:
    bars = bars_of(
        events(
            (1, START, "task: a", "a"),
            (2, START, "task: a", "a"),
            (3, STOP, "task: a", "a"),
            (4, STOP, "task: a", "a"),
            (5, START, "task: a", "a"),
        )
    )
    assert bars["task: a"] == [Bar(1, 3, "a"), Bar(2, 4, "a"), Bar(5, None, "a")]


def test_bars_that_overlap_get_rows_and_others_share_one() -> None:
    rows = rows_of(
        events(
            (1, START, "thread: job", "job"),
            (2, START, "thread: job", "job"),
            (3, STOP, "thread: job", "job"),
            (4, STOP, "thread: job", "job"),
            (5, START, "thread: job", "job"),
            (6, STOP, "thread: job", "job"),
        )
    )
    assert [[bar.start_s for bar in row.bars] for row in rows] == [[1, 5], [2]]


def test_threads_stand_under_their_lock_and_the_server_has_no_row() -> None:
    assert [row.lane for row in rows_of(OVERLAP)] == ["lock: store", "thread: slow", "thread: next"]


def test_a_crowd_is_counted() -> None:
    many = [(float(n), START, f"task: connection {n}", "connection") for n in range(1, 31)]
    ends = [(100.0 + n, STOP, f"task: connection {n}", "connection") for n in range(1, 29)]
    (row,) = rows_of(events(*many, *ends))
    assert (row.lane, row.largest, row.members) == ("task: connection", 30, 30)
    assert row.crowd[-1][1] == 2
    assert not row.bars


def test_of_a_crowd_only_what_came_too_late_is_marked_one_by_one() -> None:
    bars = [(float(n), kind, f"thread: job {n}", "") for n in range(1, 9) for kind in (START, STOP)]
    applied = [(float(n), APPLY, f"thread: job {n}", "applied") for n in range(1, 9)]
    crowd = events(*bars, *applied, (7.5, CLOSE, "server", "closed"))
    svg = timeline([cell(events=crowd)]).svg
    assert "8, 1 at a time, 8 applied" in texts(svg)
    assert [title for title in titles(svg) if "applied" in title] == [
        "thread: job: 8, 1 at a time, 8 applied",
        "applied after closed",
    ]


def test_numbers_make_no_family() -> None:
    names = ["task: worker 1", "task: worker 12", "thread: job 1-3", "thread: a7", "lock: store"]
    assert [family_of(name) for name in names] == [
        "task: worker",
        "task: worker",
        "thread: job",
        "thread: a",
        "lock: store",
    ]


def test_overlaps_are_where_two_threads_are_at_work() -> None:
    assert overlaps(rows_of(OVERLAP), "thread", 1.0) == [(0.103, 0.105)]
    assert overlaps(rows_of(ORDERLY), "thread", 1.0) == []


def test_the_axis_keeps_the_order_and_shows_short_spans_beside_long_ones() -> None:
    moments = [0.0, 0.00003, 0.5, 0.50001, 10.0]
    axis = Axis(moments)
    places = [axis.place(at_s) for at_s in moments]
    assert (places[0], places[-1]) == (0.0, 1.0)
    assert all(after - before > 0.05 for before, after in pairwise(places))
    assert places[1] < axis.place(0.25) < places[2]
    assert (axis.place(-1), axis.place(11)) == (0.0, 1.0)
    assert Axis([]).place(3) == 1.0


# Timelines


def test_what_came_to_the_same_is_drawn_once() -> None:
    assert [[c.column for c in group] for group in alike(S3)] == [
        ["trio", "hardened", "anyio"],
        ["modern", "classic"],
    ]
    written = texts(timeline(S3).svg)
    assert "trio, hardened, anyio" in written
    assert "modern, classic" in written


def test_versions_are_named_where_they_differ() -> None:
    cells = [
        cell("modern", "3.11.7"),
        overlapping("modern", "3.12.1"),
        overlapping("modern", "3.13.0"),
        overlapping("classic", "3.11.7"),
        overlapping("classic", "3.12.1"),
    ]
    first, second = alike(cells)
    assert named(first, cells) == "modern (3.11)"
    assert named(second, cells) == "modern (3.12, 3.13), classic"


def test_two_threads_under_one_lock_are_seen_and_only_where_they_were() -> None:
    together = timeline([overlapping("modern")]).svg
    assert "both inside" in texts(together)
    assert "both at work" in titles(together)
    orderly = timeline([cell()]).svg
    assert "both inside" not in texts(orderly)
    # Threads of a pool may well be at work at a time; it is the metric that says they may not.
    allowed = overlapping("modern", metrics={"overlaps": 0})
    assert "both inside" not in texts(timeline([allowed]).svg)


def test_cancellations_and_the_close_are_lines_with_their_times() -> None:
    written = texts(timeline([overlapping("modern")]).svg)
    assert {"timeout 101 ms", "stop 110 ms", "closed 120 ms"} <= set(written)
    assert not any("listening" in text for text in written)


def test_what_was_applied_after_the_close_is_told() -> None:
    late = events(
        (0.0, START, "thread: a", "a"),
        (0.1, CLOSE, "server", "closed"),
        (0.2, APPLY, "thread: a", "applied"),
        (0.3, STOP, "thread: a", "a"),
    )
    assert "applied after closed" in titles(timeline([cell(events=late)]).svg)
    assert "applied after closed" not in titles(timeline([overlapping("modern")]).svg)


def test_what_never_ended_is_told() -> None:
    hanging = events((0.0, START, "task: worker", "worker"), (0.1, CANCEL, "server", "stop"))
    drawn = timeline([cell(outcome=HANG, shown=HANG, wanted=False, events=hanging)])
    assert "never ended" in texts(drawn.svg)
    assert "HANG: still running at its limit" in texts(drawn.svg)
    assert drawn.alt == "trio: HANG (not as wanted)"


def test_marks_stand_in_their_row_or_are_lines() -> None:
    marked = events(
        (0.0, START, "task: worker", "worker"),
        (0.1, MARK, "task: worker", "began again"),
        (0.2, MARK, "client", "saw the end"),
        (0.3, CANCEL, "task: worker", "Cancelled"),
        (0.3, STOP, "task: worker", "worker"),
    )
    written = texts(timeline([cell(events=marked)]).svg)
    assert "began again" in written
    assert "saw the end 200 ms" in written


def test_a_mark_that_tells_what_its_cancellation_has_told_is_left_out() -> None:
    given_up = [(0.1012, MARK, "job: slow", "given up"), (0.2, MARK, "job: slow", "given up")]
    record = sorted([*OVERLAP, *events(*given_up)], key=lambda event: event.at_s)
    written = texts(timeline([overlapping("modern", events=tuple(record))]).svg)
    assert [text for text in written if "given up" in text] == ["given up 200 ms"]
    assert "timeout 101 ms" in written


def test_a_long_record_says_what_is_left_out() -> None:
    rows = [(float(n), START, f"thread: job {name}", name) for n, name in enumerate("abcdefghijkl")]
    assert "and 3 rows more" in texts(timeline([cell(events=events(*rows))]).svg)


def test_a_cell_without_events_has_its_name_and_its_verdict() -> None:
    assert not can_be_drawn([cell(events=())])
    assert can_be_drawn([cell(events=()), cell()])
    written = texts(timeline([cell(events=())]).svg)
    assert "trio" in written
    assert "0 overlaps" in written


def test_what_clients_send_is_text_in_a_picture() -> None:
    nasty = "<script>alert('&')</script>"
    drawing = Drawing()
    drawing.text(0, 0, nasty)
    drawing.bar(0, 0, 1, 1, "#000000", title=nasty)
    svg = drawing.svg(10)
    assert "<script" not in svg
    assert (texts(svg), titles(svg)) == ([nasty], [nasty])


def test_a_text_is_shortened_to_its_room() -> None:
    assert shortened("abc", 10, 100) == "abc"
    short = shortened("a long name of a lane", 10, 60)
    assert short.endswith("…")
    assert width_of(short, 10) <= 60
    assert shortened("abc", 10, 2) == ""


# Verdicts


def test_a_verdict_names_versions_only_where_they_differ() -> None:
    cells = [cell("modern", "3.11.7"), overlapping("modern", "3.12.1")]
    assert verdict(cells, "modern") == "3.11: ✓ 0 overlaps; 3.12: ✗ 1 overlap"
    assert verdict([cell("trio"), cell("trio", "3.12.1")], "trio") == "✓ 0 overlaps"
    assert verdict(cells, "trio") == "–"
    surprise = cell("trio", differences=("overlaps: 0 seen, = 1 expected",))
    assert verdict([surprise], "trio") == "✓ 0 overlaps !"


def test_a_verdict_fails_where_a_cell_is_not_as_expected() -> None:
    scenario = scenarios()["S3"]
    assert judge(scenario, S3).holds is True
    surprise = cell("anyio", differences=("overlaps: 0 seen, = 1 expected",))
    assert judge(scenario, [*S3[:-1], surprise]).holds is False
    alike_everywhere = [cell(column) for column in COLUMNS]
    assert judge(scenario, alike_everywhere).holds is False


def test_metrics_that_are_nothing_everywhere_are_left_out() -> None:
    table = metrics_table(S3)
    assert table.columns == ("metric", *COLUMNS)
    assert [row[0] for row in table.rows] == ["outcome", "overlaps"]
    assert table.rows[1] == ("overlaps", "0", "1", "1", "0", "0")


# The page


def results_of(*cells: Cell) -> CompareResults:
    pythons = dict.fromkeys(c.python for c in cells)
    versions = {"trio": "0.35.0", "anyio": ""}
    stamps = (Stamp(python=p, versions=versions, system="Linux x86_64", cores=2) for p in pythons)
    return CompareResults(stamps=tuple(stamps), cells=cells)


def test_the_page_has_the_table_and_a_section_for_each_scenario_seen() -> None:
    made = page(results_of(*S3), scenarios())
    assert made.stamp == {
        "python": "3.11.7",
        "trio": "0.35.0",
        "anyio": "none",
        "system": "Linux x86_64, 2 cores",
    }
    names = [section.title for section in made.sections]
    assert names[0] == "All scenarios"
    assert names[1] == f"S3 {scenarios()['S3'].title}"
    html = made.html()
    assert "✗ 1 overlap" in html
    assert "both inside" in html
    assert "trio_stages/compare/shells/trio.py" in html


def test_every_scenario_can_be_a_section() -> None:
    cells = [
        cell(column, scenario=scenario.id)
        for scenario in scenarios().values()
        for column in scenario.columns
    ]
    made = page(results_of(*cells), scenarios())
    anchors = {section.anchor for section in made.sections}
    assert set(scenarios()) <= anchors
    made.html()
    made.markdown()


def test_what_was_not_expected_is_told_in_front_and_in_its_section() -> None:
    surprise = cell("anyio", differences=("overlaps: 0 seen, = 1 expected",))
    made = page(results_of(*S3[:-1], surprise), scenarios())
    told = [v.measured for v in made.verdicts if v.claim == "As the registry expects"]
    assert told == ["anyio on 3.11.7: overlaps: 0 seen, = 1 expected"] * 2


def test_files_are_written_and_markdown_finds_its_pictures(tmp_path: Path) -> None:
    html, markdown = tmp_path / "a" / "index.html", tmp_path / "b" / "report.md"
    write(page(results_of(*S3), scenarios()), html, markdown)
    assert html.read_text("utf-8").startswith("<!doctype html>")
    text = markdown.read_text("utf-8")
    assert "](report-00.svg)" in text
    ElementTree.parse(markdown.with_name("report-00.svg"))


def test_cells_come_in_the_order_of_the_columns() -> None:
    found = cells_of(results_of(*reversed(S3)), scenarios()["S3"])
    assert [c.column for c in found] == list(COLUMNS)


def test_the_command_writes_what_it_was_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run_all(*arguments: object) -> CompareResults:
        return results_of(*S3)

    monkeypatch.setattr(command, "run_all", run_all)
    names = {"--json": "r.json", "--html": "index.html", "--markdown": "report.md"}
    words = [word for flag, name in names.items() for word in (flag, str(tmp_path / "x" / name))]
    assert cli.main(["compare", "S3", *words]) == 0
    assert CompareResults.load(tmp_path / "x" / "r.json").cells == tuple(S3)
    assert all((tmp_path / "x" / name).exists() for name in names.values())


def test_a_file_of_costs_that_is_none_is_told_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "costs.json").write_text("{}")
    words = ["--html", str(tmp_path / "x.html"), "--costs", str(tmp_path / "costs.json")]
    assert cli.main(["compare", *words]) == 1
    assert "not a file of costs" in capsys.readouterr().err
    assert not (tmp_path / "x.html").exists()


# Code


def test_how_long_the_shells_are_is_told_beside_trios() -> None:
    rows = exhibits.lengths().rows
    assert [row[0] for row in rows] == list(COLUMNS)
    counts = [int(row[1]) for row in rows]
    assert rows[0][2] == ""
    assert [int(row[2]) for row in rows[1:]] == [count - counts[0] for count in counts[1:]]


def test_a_difference_is_told_without_its_header() -> None:
    assert exhibits.difference("a\nb\n", "a\nc\n") == [" a", "-b", "+c"]
    assert exhibits.difference("a\n", "a\n") == []


@pytest.mark.parametrize("scenario", scenarios().values(), ids=lambda scenario: scenario.id)
def test_a_scenarios_code_stands_side_by_side(scenario: Scenario) -> None:
    shown = exhibits.exhibits(scenario)
    assert len(shown) == len(scenario.columns)
    assert all(code.text.strip() for code in shown)
    assert shown[0].language == "python"


# The documentation


def test_the_documentation_says_what_its_sample_run_says() -> None:
    """After a change of a scenario or a shell: ``python -m trio_stages.compare.catalogue``."""
    results, costs = CompareResults.load(catalogue.SAMPLE), Costs.load(catalogue.COSTS)
    written = {page.name: page.read_text("utf-8") for page in catalogue.SAMPLE.parent.glob("*.md")}
    assert written == catalogue.pages(results)
    chapter = catalogue.CHAPTER.read_text("utf-8")
    assert chapter == catalogue.filled(chapter, catalogue.tables(results, costs))
    picture = catalogue.COSTS.with_name("costs.svg").read_text("utf-8")
    assert picture == chart(costs).svg + "\n"


def test_the_sample_run_bears_every_label_out_and_no_label_is_empty() -> None:
    results = CompareResults.load(catalogue.SAMPLE)
    assert results.agrees
    shown = catalogue.seen(results)
    assert [s.id for s in shown if not judge(s, cells_of(results, s)).holds] == []
    assert {s.label for s in shown} == set(Label)
    assert {s.id for s in shown} == set(scenarios())
    pictures = {path.stem for path in catalogue.SAMPLE.parent.glob("s*.svg")}
    assert pictures <= {s.name for s in shown}
    assert "s03_timeout_under_lock" in pictures


def test_a_chapter_without_a_marker_is_an_error() -> None:
    with pytest.raises(ValueError, match="no <!-- table -->"):
        catalogue.filled("nothing", {"table": "x"})
