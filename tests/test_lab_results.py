"""What a run leaves behind: the data contract, the registry, and how errors become results."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio
from pydantic import ValidationError

from clients.http import ClientError
from clients.lab.__main__ import main, run_lab
from clients.lab.registry import (
    Experiment,
    Findings,
    UnknownExperiment,
    all_experiments,
    chosen,
)
from clients.lab.results import (
    SCHEMA,
    Axis,
    Bar,
    Column,
    Comparison,
    ExperimentResult,
    LabResults,
    Lane,
    Mark,
    Plot,
    Series,
    Span,
    Table,
    Verdict,
    json_schema,
)
from clients.lab.verdicts import agrees, figure, judge, known
from trio_stages.ladder import STAGES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from clients.lab.bench import Bench

EVERYTHING = LabResults(
    machine={"python": "3.11", "cores": "2"},
    started="2026-11-26T12:00:00+00:00",
    duration_s=12.5,
    quick=True,
    command="python -m clients.lab 7",
    experiments=(
        ExperimentResult(
            id="one",
            group="g",
            stages=(7, 8),
            title="t",
            question="q?",
            mode="both",
            duration_s=1.5,
            virtual_s=1000.0,
            comparisons=(
                Comparison(quantity="accepted", document="≈ 100", measured=101, model=101.5),
            ),
            tables=(
                Table(
                    title="a table",
                    columns=(Column("state"), Column("rate", "jobs/s", "measured", 1)),
                    rows=(("mutex", 100.25), ("sharded", None)),
                ),
            ),
            plots=(
                Plot(
                    kind="queue_over_time",
                    title="p",
                    x=Axis("time", "s"),
                    y=Axis("jobs", log=True),
                    series=(Series(name="queued", role="queued", points=((0.0, 1.0), (1.0, 0.0))),),
                    bars=(Bar("a", 1.0, "factor", "group"),),
                    lanes=(Lane("worker 0", (Span(0.0, 0.1, "work", "user1"),)),),
                    marks=(Mark("capacity", "y", 100.0),),
                ),
            ),
            verdicts=(
                Verdict(claim="it holds", holds=True, measured="1"),
                Verdict(claim="nobody knows", holds=None, measured="-", source="document"),
            ),
            notes=("`code` and **bold**",),
            ledger=("user1: balance rose by 10, expected 20",),
        ),
        ExperimentResult(
            id="two", group="g", stages=(1,), title="t", question="q?", mode="real", error="no"
        ),
    ),
)


def test_there_and_back_again() -> None:
    assert LabResults.from_json(EVERYTHING.to_json()) == EVERYTHING


def test_what_is_not_a_number_is_refused_on_writing_and_on_reading() -> None:
    broken = replace(EVERYTHING, duration_s=math.nan)
    with pytest.raises(ValueError, match="JSON"):
        broken.to_json()
    text = EVERYTHING.to_json().replace("12.5", "NaN")
    with pytest.raises(ValidationError):
        LabResults.from_json(text)


@pytest.mark.parametrize(
    ("old", "new"), [('"queue_over_time"', '"pie"'), ('"measured"', '"guessed"'), ('"both"', "3")]
)
def test_unknown_words_are_refused(old: str, new: str) -> None:
    with pytest.raises(ValidationError):
        LabResults.from_json(EVERYTHING.to_json().replace(old, new))


def test_the_schema_describes_what_is_written() -> None:
    schema = json_schema()
    content = json.loads(EVERYTHING.to_json())
    assert content.keys() == schema["properties"].keys()
    for name, part in (
        ("ExperimentResult", content["experiments"][0]),
        ("Plot", content["experiments"][0]["plots"][0]),
        ("Comparison", content["experiments"][0]["comparisons"][0]),
    ):
        assert part.keys() == schema["$defs"][name]["properties"].keys()
    assert content["schema"] == SCHEMA


def test_not_ok_is_an_error_or_a_ledger_that_differs_not_a_claim_that_fails() -> None:
    one, two = EVERYTHING.experiments
    assert not one.ok
    assert not two.ok
    refuted = replace(one, ledger=(), verdicts=(Verdict(claim="c", holds=False, measured="m"),))
    assert refuted.ok
    assert replace(EVERYTHING, experiments=(refuted,)).ok


def test_verdicts_say_what_became_of_them() -> None:
    texts = [judge("c", holds, "m").text() for holds in (True, False, None)]
    assert texts == ["holds: m", "does not hold here: m", "not observed: m"]


def test_agreement_is_within_a_share_or_a_slack() -> None:
    assert agrees("c", 109, 100, within=0.1).holds is True
    assert agrees("c", 111, 100, within=0.1).holds is False
    assert agrees("c", 102, 101, within=0.001, slack=1.0).holds is True
    assert agrees("c", math.nan, 1, within=1).holds is None
    assert "+9.0 %" in agrees("c", 109, 100, within=0.1, unit="jobs/s").measured


def test_figures_for_people() -> None:
    assert [figure(value) for value in (1454.545, 2.0, 0.12344, math.inf)] == [
        *("1,455", "2", "0.1234", "–"),
    ]
    assert known(math.nan) is None
    assert known(1 / 3) == 0.333333333


# The registry


def test_every_stage_has_an_experiment_and_no_name_is_given_twice() -> None:
    experiments = all_experiments()
    names = [each.id for each in experiments]
    assert len(set(names)) == len(names)
    assert {stage for each in experiments for stage in each.stages} == set(STAGES)
    assert not {str(stage) for stage in STAGES} & set(names)
    assert all(each.title and each.question.endswith("?") and each.group for each in experiments)
    # The groups stand together, or their headlines would come twice.
    groups = [each.group for each in experiments]
    assert len([a for a, b in zip(groups, [None, *groups], strict=False) if a != b]) <= len(
        dict.fromkeys(groups)
    )


def test_choosing_by_stage_and_by_name_keeps_the_order() -> None:
    experiments = all_experiments()
    assert chosen(experiments, []) == experiments
    some = chosen(experiments, ["8", "freeze"])
    assert some[0].id == "freeze"
    assert {each.id for each in some} >= {"freeze", "sharding", "decomposition"}
    with pytest.raises(UnknownExperiment, match="'11' is neither"):
        chosen(experiments, ["11"])


def experiment(name: str, run: Callable[[Bench], Awaitable[Findings]]) -> Experiment:
    return Experiment(
        id=name, group="g", stages=(5,), title="t", question="q?", mode="real", run=run
    )


async def fine(bench: Bench) -> Findings:
    bench.on_progress("half", 1, 2)
    return Findings(verdicts=(judge("it works", True, "seen"),), notes=("n",))


async def broken(bench: Bench) -> Findings:
    async with trio.open_nursery():
        raise ClientError("the server did not start")


async def differing(bench: Bench) -> Findings:
    bench.differ("stage 5", ["one too many"])
    (doubled,) = await bench.compute(abs, [(-2,)])
    return Findings(notes=(str(doubled),))


async def test_an_error_is_a_result_and_the_others_run_on() -> None:
    progress: list[str] = []
    told: list[str] = []
    results = await run_lab(
        [experiment("broken", broken), experiment("fine", fine), experiment("off", differing)],
        quick=True,
        on_progress=lambda what, done, total: progress.append(what),
        on_result=lambda result: told.append(result.id),
    )
    first, second, third = results.experiments
    assert first.error == "ClientError: the server did not start"
    assert second.ok
    assert second.notes == ("n",)
    assert third.ledger == ("stage 5: one too many",)
    assert third.notes == ("2",)
    assert not results.ok
    assert told == ["broken", "fine", "off"]
    assert "[2/3] fine: half" in progress
    assert results.machine["python"]
    assert LabResults.from_json(results.to_json()) == results


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "1"]) == 0
    assert capsys.readouterr().out.startswith("freeze")
    with pytest.raises(SystemExit) as ended:
        main(["nonsense"])
    assert ended.value.code == 2


def test_a_run_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The cheapest of all experiments, with its report."""
    assert main(["header-case", "--quick", "--out", str(tmp_path)]) == 0
    results = LabResults.from_json((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [each.id for each in results.experiments] == ["header-case"]
    assert all(verdict.holds for verdict in results.experiments[0].verdicts)
    assert (tmp_path / "index.html").exists()
    assert (tmp_path / "report.md").exists()
    assert "index.html" in capsys.readouterr().out
