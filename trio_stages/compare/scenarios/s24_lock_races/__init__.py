"""S24: a waiter is cancelled while the lock is being handed to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Trial

ROUNDS = 200


def run(trial: Trial) -> dict[str, Metric]:
    """Release, cancel the next in line in the same step, and see who comes after it."""
    trial.metrics["rounds"] = 0

    def main() -> None:
        for _ in range(ROUNDS):
            order = trial.code.main(trial.core)
            if order[-1] == "third":
                trial.metrics["rounds"] = int(trial.metrics["rounds"]) + 1

    trial.run(main, lambda client: None, required=False)
    return {"of": ROUNDS}


SCENARIO = Scenario(
    id="S24",
    module=__name__,
    title="A lock whose next owner is cancelled as it gets it",
    done=(
        "Three tasks and a lock. The holder releases it and in the same step cancels the second, "
        f"who is next in line. The third has to get it (`rounds`: of {ROUNDS}, those in which it "
        "did). Trio has given the lock away by then, so the second has it for a moment; asyncio "
        "has only woken the second. Neither loses it."
    ),
    why="A lock that is lost in such a race stops a server for good, once a month.",
    label=Label.SAME,
    links=(
        Link(
            "asyncio: Lock",
            "https://docs.python.org/3/library/asyncio-sync.html#asyncio.Lock",
        ),
        Link("Trio: Lock", "https://trio.readthedocs.io/en/stable/reference-core.html#trio.Lock"),
    ),
    shown="{rounds} of {of} rounds right",
    wanted=facts(rounds=ROUNDS),
    expected=(expect("trio modern classic hardened anyio", rounds=ROUNDS),),
    run=run,
)
