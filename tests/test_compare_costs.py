"""The costs: every operation does its work in every column, and conclusions follow their rules."""

from __future__ import annotations

import inspect
import subprocess
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from trio_stages import cli
from trio_stages.compare.costs import command, measure, operations
from trio_stages.compare.costs import results as costs_results
from trio_stages.compare.costs.chart import chart
from trio_stages.compare.costs.clients import IdleClients, possible_connections
from trio_stages.compare.costs.clock import Clock
from trio_stages.compare.costs.measure import run_cell
from trio_stages.compare.costs.operations import BY_NAME, COLUMNS, OPERATIONS
from trio_stages.compare.costs.results import Costs, Ratio, Runs
from trio_stages.compare.costs.tables import ahead, figure, figures, left_over, ratios

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IN_PROCESS = [operation for operation in OPERATIONS if operation.unit != "per_s"]
SERVERS = [operation for operation in OPERATIONS if operation.unit == "per_s"]

measure_module = inspect.getmodule(run_cell)


# The work


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("operation", IN_PROCESS, ids=lambda operation: operation.name)
def test_an_operation_runs_and_leaves_nothing(operation: operations.Operation, column: str) -> None:
    module = operations.load(column)
    clock = Clock()
    facts = module.run(getattr(module, operation.name), 30, clock)
    assert clock.wall_s > 0
    assert set(facts.values()) <= {0}
    assert bool(facts) == (operation.name in ("cancel", "stop"))


@pytest.mark.parametrize("column", COLUMNS)
def test_a_server_under_load_processes_every_event(column: str) -> None:
    result = run_cell(column, "events", 60)
    assert result is not None
    assert result["facts"] == {"events left": 0}
    assert result["wall_s"] > 0


def test_a_server_answers_requests() -> None:
    result = run_cell("trio", "requests", 60)
    assert result is not None
    assert result["count"] == 60


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_has_all_operations_its_own_ones_in_the_common_order(column: str) -> None:
    module = operations.load(column)
    assert all(inspect.iscoroutinefunction(getattr(module, op.name)) for op in IN_PROCESS)
    source = inspect.getsource(module)
    own = [op.name for op in IN_PROCESS if f"async def {op.name}(count" in source]
    places = [source.index(f"async def {name}(count") for name in own]
    assert places == sorted(places)
    assert len(own) == len(IN_PROCESS) or column in ("classic", "hardened")


def test_connections_are_counted_open_until_the_server_closes_them() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0), backlog=4) as listener:
        clients = IdleClients(listener.getsockname()[1], 3)
        accepted = [listener.accept()[0] for _ in range(3)]
        accepted[0].close()
        assert clients.still_open() == 2
        for connection in accepted:
            connection.close()
    assert possible_connections(10) == 10


# Rounds


def test_columns_run_side_by_side_and_take_turns_at_going_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order: list[str] = []

    def run(column: str, operation: str, count: int) -> dict[str, Any] | None:
        order.append(column)
        if column == "b" and len(order) > 4:
            return None
        return {
            "count": count,
            "cpu_s": 2.0 if column == "a" else 1.0,
            "wall_s": 3.0,
            "facts": {"tasks left": len(order)},
        }

    monkeypatch.setattr(measure_module, "run_cell", run)
    costs = measure(operations=[BY_NAME["cancel"]], columns=["a", "b", "c"], rounds=3, scale=0.01)
    assert order == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    a, b, _ = costs.runs
    assert (a.count, a.cpu_s, a.facts) == (100, (2.0, 2.0, 2.0), {"tasks left": 8})
    assert b.cpu_s == (1.0, 1.0, None)
    assert b.wall_s == (3.0, 3.0, None)
    assert not costs.clean


def test_a_run_that_fails_is_reported_and_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cell("trio", "nonsense", 1) is None
    assert "costs: nonsense in trio: KeyError: 'nonsense'" in capsys.readouterr().err


def test_a_run_that_does_not_end_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*arguments: object, **options: object) -> None:
        raise subprocess.TimeoutExpired("cell", 60)

    monkeypatch.setattr(subprocess, "run", never)
    assert run_cell("trio", "lock", 1) is None
    assert "not over in 60 s" in capsys.readouterr().err


# Conclusions


def costs_of(operation: str = "lock", **cpu_s: tuple[float | None, ...]) -> Costs:
    runs = tuple(
        Runs(
            operation=operation, column=column, count=1000, cpu_s=times, wall_s=(9.0,) * len(times)
        )
        for column, times in cpu_s.items()
    )
    return Costs(stamp={"python": "CPython 3"}, rounds=3, runs=runs)


def test_ratios_are_taken_within_a_round() -> None:
    # The machine became three times as slow in the second round; the ratio did not.
    costs = costs_of(trio=(2.0, 6.0, 2.0), modern=(1.0, 3.0, 1.0))
    assert costs.ratio("lock", "modern") == Ratio(2.0, 2.0, 2.0)
    assert ahead(costs, BY_NAME["lock"]) == "asyncio, 2.0 ×"


def test_a_round_that_failed_is_no_round() -> None:
    costs = costs_of(trio=(2.0, None, 4.0), modern=(1.0, 1.0, 1.0))
    assert costs.ratio("lock", "modern") == Ratio(3.0, 2.0, 4.0)
    assert not costs.clean
    assert "1 runs failed" in left_over(costs)
    nothing = costs_of(trio=(None,), modern=(1.0,))
    assert nothing.ratio("lock", "modern") is None
    assert ahead(nothing, BY_NAME["lock"]) == "not measured"


@pytest.mark.parametrize(
    ("modern", "expected"),
    [
        ((0.5, 0.4, 0.8), True),
        ((2.0, 1.5, 1.2), False),
        ((0.5, 0.5, 1.0), None),  # not in every round
        ((0.95, 0.95, 0.95), None),  # within the margin
        ((1.05, 1.05, 1.05), None),
    ],
)
def test_ahead_is_who_was_so_in_every_round(
    modern: tuple[float, ...], expected: bool | None
) -> None:
    ratio = costs_of(trio=(1.0, 1.0, 1.0), modern=modern).ratio("lock", "modern")
    assert ratio is not None
    assert ratio.ahead is expected


def test_figures_are_in_their_units() -> None:
    assert BY_NAME["lock"].figure(0.5, 1000) == pytest.approx(500)  # µs each
    assert BY_NAME["cancel"].figure(0.5, 1000) == pytest.approx(500)  # ms in all
    assert BY_NAME["requests"].figure(0.5, 1000) == pytest.approx(2000)  # per second
    assert [figure(value) for value in (0.123, 1.234, 12.34, 1234.5)] == [
        "0.12",
        "1.23",
        "12.3",
        "1,234",
    ]


def test_tables_have_a_row_an_operation_and_a_column_a_column() -> None:
    costs = costs_of(trio=(2.0, 6.0, 2.0), modern=(1.0, 3.0, 1.0))
    assert figures(costs).columns == ("operation", "ahead", "trio", "modern")
    assert figures(costs).rows == (
        ("lock, free, µs", "asyncio, 2.0 ×", "2,000 ±100%", "1,000 ±100%"),
    )
    assert ratios(costs).rows == (("lock, free", "2.0 (2.0–2.0)"),)


def test_the_chart_is_an_svg_with_a_dot_for_each_column() -> None:
    costs = costs_of(trio=(2.0, 6.0, 2.0), modern=(1.0, 3.0, 1.0), anyio=(4.0, 12.0, 4.0))
    drawn = chart(costs)
    svg = ElementTree.fromstring(drawn.svg)
    titles = [title.text for title in svg.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == [
        "lock, free, modern: 2.0 (2.0–2.0) times as fast as Trio",
        "lock, free, anyio: 0.50 (0.50–0.50) times as fast as Trio",
    ]
    assert "lock, free: modern asyncio 2.0 times as fast" in drawn.alt


def test_costs_are_the_same_after_a_round_trip(tmp_path: Path) -> None:
    costs = costs_of(trio=(2.0, None, 2.0), modern=(1.0, 3.0, 1.0))
    costs.save(tmp_path / "costs.json")
    assert Costs.load(tmp_path / "costs.json") == costs
    (tmp_path / "other.json").write_text('{"format": 1}')
    with pytest.raises(ValueError, match="not a file of costs"):
        Costs.load(tmp_path / "other.json")


# The command


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[[Costs], dict[str, Any]]:
    def use(costs: Costs) -> dict[str, Any]:
        asked: dict[str, Any] = {}

        def fake(**options: Any) -> Costs:
            asked.update(options)
            options["on_run"](options["operations"][0], "trio")
            return costs

        monkeypatch.setattr(command, "measure", fake)
        return asked

    return use


def test_the_command_prints_the_tables_and_writes_the_figures(
    measured: Callable[[Costs], dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    costs = costs_of(trio=(2.0, 6.0, 2.0), modern=(1.0, 3.0, 1.0))
    asked = measured(costs)
    path = tmp_path / "new" / "costs.json"
    words = ["compare", "costs", "lock", "--rounds", "3", "--json", str(path)]
    assert cli.main(words) == 0
    assert [operation.name for operation in asked["operations"]] == ["lock"]
    assert asked["rounds"] == 3
    assert costs_results.Costs.load(path) == costs
    assert "asyncio, 2.0 ×" in capsys.readouterr().out


def test_the_command_fails_where_a_run_did(measured: Callable[[Costs], dict[str, Any]]) -> None:
    measured(costs_of(trio=(None,), modern=(1.0,)))
    assert cli.main(["compare", "costs"]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lokc"], "there is no operation 'lokc'; there are requests, events, checkpoint,"),
        (["--rounds", "0"], "'0' is not a whole number between 1 and 1000"),
    ],
)
def test_what_is_not_understood_is_told(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["compare", "costs", *words]) == 2
    assert message in capsys.readouterr().err
