"""S27b: the same, where somebody wants to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.results import MARK, START
from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts
from trio_stages.compare.scenarios.s27_client_gone_unnoticed import NOTICED, leave_while_waiting

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Trial


def run(trial: Trial) -> dict[str, Metric]:
    """The handler waits, and the column does what it takes to notice."""
    trial.run(lambda: trial.code.main(trial.core), leave_while_waiting)
    recorder = trial.core.recorder
    return {
        "noticed": recorder.count(MARK, "task:", NOTICED),
        "tasks_a_request": recorder.count(START, "task:"),
    }


SCENARIO = Scenario(
    id="S27b",
    module=__name__,
    title="A client hangs up, and the handler wants to know",
    done=(
        "As S27, with what each library has for it: in Trio and anyio a second task reads while "
        "the first one waits, in asyncio a `Protocol` is told (`tasks_a_request`)."
    ),
    why="A server that notices drops the work of those who have left.",
    label=Label.ASYNCIO_BETTER,
    links=(
        Link(
            "asyncio: Protocol.connection_lost",
            "https://docs.python.org/3/library/asyncio-protocol.html#asyncio.BaseProtocol.connection_lost",
        ),
    ),
    shown="noticed: {noticed}, {tasks_a_request} tasks a request",
    wanted=facts(noticed=1, tasks_a_request=1),
    expected=(
        expect("trio anyio", noticed=1, tasks_a_request=2),
        expect("modern", noticed=1, tasks_a_request=1),
    ),
    run=run,
    columns=("trio", "modern", "anyio"),
    note=(
        "The event loop watches every socket anyway, and a Protocol gets the call for nothing. The "
        "reading task of the others also has to keep what a pipelining client sends meanwhile."
    ),
)
