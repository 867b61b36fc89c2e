"""The registry of the comparison: complete, parallel, and held to what it says."""

from __future__ import annotations

import ast
import inspect
import string
from importlib import import_module
from pathlib import Path

import pytest

from trio_stages.cli import main
from trio_stages.compare import shells
from trio_stages.compare.catalogue import SAMPLE
from trio_stages.compare.lines import code_lines, shell_lines
from trio_stages.compare.results import ENDED, Cell, CompareResults, Event, Stamp, version
from trio_stages.compare.run import count_complaints, without_paths
from trio_stages.compare.scenario import (
    COLUMNS,
    Fact,
    Label,
    Scenario,
    at_least,
    at_most,
    contains,
    expect,
    facts,
)
from trio_stages.compare.scenarios import scenarios

PACKAGE = Path(inspect.getfile(shells)).parent.parent
PYTHONS = ((3, 11, 7), (3, 12, 1), (3, 13, 0), (3, 14, 0))

each = pytest.mark.parametrize("scenario", scenarios().values(), ids=lambda s: s.id)


def functions(path: Path) -> list[str]:
    """Public functions and classes of a module, in order."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return [node.name for node in body if isinstance(node, kinds)]


def test_every_label_is_there() -> None:
    assert {scenario.label for scenario in scenarios().values()} == set(Label)


def test_every_finding_is_there() -> None:
    """S14, what things cost, is no matter of verdicts."""
    expected = {f"S{number}" for number in range(1, 14)} | {"S1b"}
    assert expected <= set(scenarios())


@each
def test_every_cell_has_exactly_one_expectation(scenario: Scenario) -> None:
    for column in scenario.columns:
        for python in PYTHONS:
            assert sum(e.covers(column, python) for e in scenario.expected) == 1, (column, python)


@each
def test_a_reader_is_told_what_and_why(scenario: Scenario) -> None:
    assert scenario.title
    assert scenario.done.endswith((".", "?", ")"))
    assert scenario.why.endswith(".")
    assert scenario.links
    assert all(link.url.startswith("https://") for link in scenario.links)
    assert scenario.name.startswith(f"s{scenario.id[1:].rstrip('b').zfill(2)}")


@each
def test_what_a_cell_shows_is_asserted_or_counted(scenario: Scenario) -> None:
    """Every metric that decides `wanted` is expected somewhere."""
    names = [name for _, name, _, _ in string.Formatter().parse(scenario.shown) if name]
    assert len(names) == len(set(names))
    asserted = {name for expectation in scenario.expected for name in expectation.facts}
    assert set(scenario.wanted) <= asserted


@each
def test_a_scenario_has_code_for_each_of_its_columns(scenario: Scenario) -> None:
    own = [(PACKAGE / "scenarios" / scenario.name / f"{c}.py").exists() for c in COLUMNS]
    for column in scenario.columns:
        assert scenario.source(column)
    if not any(own):
        assert scenario.exhibit


def test_the_shells_are_parallel() -> None:
    """The same functions in the same order; hardening alone adds some, in front."""
    of = {column: functions(PACKAGE / "shells" / f"{column}.py") for column in COLUMNS}
    common = of["trio"]
    assert common == ["handle", "connection", "process", "worker", "serve", "run", "main"]
    assert all(of[column] == common for column in ("modern", "classic", "anyio"))
    assert [name for name in of["hardened"] if name in common] == common
    for name in common:
        texts = {
            inspect.getdoc(getattr(import_module(f"{shells.__name__}.{column}"), name))
            for column in ("modern", "classic")
        }
        assert len(texts) == 1, f"{name}: asyncio's plain shells differ in what they promise"


def test_hardening_costs_lines_and_they_are_counted() -> None:
    lines = shell_lines()
    assert lines["hardened"] > lines["modern"] > lines["trio"]
    assert code_lines('"""A docstring."""\n\n# a comment\nx = """a\nb"""\n') == 2


def test_facts() -> None:
    assert at_least(1).holds(1)
    assert not at_least(1).holds(0)
    assert at_most(1).holds(1)
    assert not at_most(1).holds(2)
    assert contains("Poison").holds("ExceptionGroup(Poison)")
    assert not contains("Poison").holds("return")
    assert not Fact("=", 0).holds(None), "what was not measured is not as expected"
    assert facts(a=1) == {"a": Fact("=", 1)}
    assert (str(at_least(1)), str(Fact("=", 0))) == ("≥ 1", "= 0")


def test_an_expectation_covers_a_range_of_versions() -> None:
    mended = expect("modern", before=(3, 13), outcome="HANG")
    assert mended.covers("modern", (3, 12, 9))
    assert not mended.covers("modern", (3, 13, 0))
    assert not mended.covers("trio", (3, 12, 9))
    assert expect("modern", since=(3, 12, 1)).covers("modern", (3, 12, 1))
    assert not expect("modern", since=(3, 12, 1)).covers("modern", (3, 12, 0))


def cell(column: str, *, wanted: bool = True, python: str = "3.11.7") -> Cell:
    return Cell(
        scenario="S3",
        column=column,
        python=python,
        outcome=ENDED,
        shown="",
        wanted=wanted,
        metrics={"overlaps": 0},
        events=(Event(at_s=0.5, kind="start", lane="thread: job", label="job"),),
    )


@pytest.mark.parametrize(
    ("identity", "trio", "modern", "classic", "follows"),
    [
        ("S3", True, False, False, True),
        ("S3", True, True, False, False),
        ("S3", False, False, False, False),
        ("S11", False, True, False, True),
        ("S11", True, True, False, False),
        ("S1", True, True, False, True),
        ("S1", True, False, False, False),
        ("S5", True, True, True, True),
    ],
)
def test_a_label_is_held_to_its_cells(
    identity: str, trio: bool, modern: bool, classic: bool, follows: bool
) -> None:
    cells = [cell("trio", wanted=trio), cell("modern", wanted=modern)]
    cells.append(cell("classic", wanted=classic))
    assert scenarios()[identity].label_follows(cells) is follows
    assert scenarios()[identity].label_follows(cells[:1]), "nothing to compare with"


@pytest.mark.parametrize(
    ("identity", "python", "modern", "follows"),
    [
        ("S2", "3.11.7", True, True),  # mended, or not yet broken, and known to be
        ("S2", "3.11.7", False, False),
        ("S2", "3.12.1", False, True),
        ("S2", "3.12.1", True, False),
        ("S12", "3.13.0", True, True),
        ("S12", "3.12.1", True, False),
    ],
)
def test_trio_better_says_on_which_pythons(
    identity: str, python: str, modern: bool, follows: bool
) -> None:
    """So that a run on one Python alone is as good as one on all."""
    cells = [cell("trio", python=python), cell("modern", python=python, wanted=modern)]
    assert scenarios()[identity].label_follows(cells) is follows


@each
def test_a_label_is_what_the_registry_expects(scenario: Scenario) -> None:
    better = [
        scenario.expects_wanted("trio", python) and not scenario.expects_wanted("modern", python)
        for python in PYTHONS
    ]
    if scenario.label is Label.TRIO_BETTER:
        assert any(better)
    elif scenario.label is Label.TRADE_OFF:
        assert scenario.note, "who would want what the other does?"
    elif scenario.label is Label.SAME:
        assert not any(better)


def test_what_the_registry_expects_is_what_the_committed_run_has_seen() -> None:
    sample = CompareResults.load(SAMPLE)
    assert {cell.scenario for cell in sample.cells} == set(scenarios())
    for cell in sample.cells:
        expected = scenarios()[cell.scenario].expects_wanted(cell.column, version(cell.python))
        assert (cell.wanted, cell.agrees) == (expected, True), (cell.scenario, cell.column)
        assert "?" not in cell.shown


def test_results_survive_a_file(tmp_path: Path) -> None:
    stamp = Stamp(python="3.11.7", versions={"trio": "0.35"}, system="Linux", cores=2)
    results = CompareResults(stamps=(stamp,), cells=(cell("trio"), cell("modern")))
    results.save(tmp_path / "results.json")
    assert CompareResults.load(tmp_path / "results.json") == results
    assert results.find("S3", "modern", "3.11.7") == results.cells[1]
    assert results.find("S3", "modern", "3.12.1") is None


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match="format"):
        CompareResults.load(tmp_path / "other.json")


def test_versions_and_complaints() -> None:
    assert version("3.12.1") == (3, 12, 1)
    assert version("3.14.0rc1") < version("3.14.1")
    said = 'File "/home/me/lib/python3.11/asyncio/x.py"\nTask exception was never retrieved\n'
    assert count_complaints(said)["never_retrieved"] == 1
    assert "/home/me" not in without_paths(said)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["S99"], 2, "there is no scenario 'S99'"),
        (["--column", "curio"], 2, "invalid choice"),
        (["S3", "--python", "/no/such/python"], 1, "No such file"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    arguments: list[str], status: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *arguments]) == status
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
