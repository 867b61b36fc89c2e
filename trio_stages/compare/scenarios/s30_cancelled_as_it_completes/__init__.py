"""S30: gh-86296, a cancellation that comes as the awaited thing completes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Trial

PATIENCE_S = 2.0


def run(trial: Trial) -> dict[str, Metric]:
    """The job completes and its task is cancelled, in one step; does the task end?"""
    ended: list[bool] = []

    def main() -> None:
        ended.append(trial.code.main(trial.core, PATIENCE_S))

    trial.run(main, lambda client: None, required=False)
    return {"task_ended": bool(ended and ended[0])}


SCENARIO = Scenario(
    id="S30",
    module=__name__,
    title="Cancelled in the moment of completion, under a timeout",
    done=(
        "A worker waits for a result, under a timeout that is far away. The result comes and the "
        "worker is cancelled, in one turn of the event loop. Afterwards it would wait for more "
        "work for ever (`task_ended`: whether the cancellation reached it)."
    ),
    why="A stop that is ignored once a month is a restart that hangs once a month.",
    label=Label.SAME,
    links=(
        Link(
            "gh-86296: wait_for can hide a cancellation",
            "https://github.com/python/cpython/issues/86296",
        ),
    ),
    shown="ended: {task_ended}",
    wanted=facts(task_ended=True),
    expected=(
        expect("trio anyio modern hardened", task_ended=True),
        expect("classic", before=(3, 12), task_ended=False, because="gh-86296"),
        expect("classic", since=(3, 12), task_ended=True, because="gh-86296 is mended"),
    ),
    run=run,
    note=(
        "`wait_for` alone had this, until it was rebuilt on `asyncio.timeout` in 3.12. It is why "
        "the classic shell can hang on 3.11 when a job ends in the moment of the stop."
    ),
)
