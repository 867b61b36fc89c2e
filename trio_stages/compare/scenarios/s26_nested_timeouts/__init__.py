"""S26: two timeouts, one inside the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Trial

REQUEST_S = 0.1
STEP_S = 60.0


def run(trial: Trial) -> dict[str, Metric]:
    """The outer timeout comes; does the code around the inner one know that it was not its own?"""
    blamed: list[str] = []

    def main() -> None:
        blamed.append(trial.code.main(trial.core, REQUEST_S, STEP_S))

    trial.run(main, lambda client: None, required=False)
    return {"blamed": blamed[0] if blamed else "nobody"}


SCENARIO = Scenario(
    id="S26",
    module=__name__,
    title="Nested timeouts: whose was it?",
    done=(
        f"A request may take {REQUEST_S:g} s; a step of it, {STEP_S:g} s. The request's time is "
        "up during the step. The step's code retries what was too slow by its own limit, and must "
        "not retry now (`blamed`: whose timeout it takes it for)."
    ),
    why="A step that retries because the request is over works for a client that has left.",
    label=Label.SAME,
    links=(
        Link(
            "asyncio: timeout",
            "https://docs.python.org/3/library/asyncio-task.html#asyncio.timeout",
        ),
        Link(
            "Trio: CancelScope.cancelled_caught",
            "https://trio.readthedocs.io/en/stable/reference-core.html#trio.CancelScope.cancelled_caught",
        ),
    ),
    shown="the {blamed}'s",
    wanted=facts(blamed="request"),
    expected=(expect("trio anyio modern classic hardened", blamed="request"),),
    run=run,
    note=(
        "The inner code is never fooled: in all columns the outer timeout passes it as a "
        "cancellation. Further out `wait_for` cannot say which of several limits it was; scopes "
        "and `asyncio.timeout` objects can (`cancelled_caught`, `expired()`)."
    ),
)
