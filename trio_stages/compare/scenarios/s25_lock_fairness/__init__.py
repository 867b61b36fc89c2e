"""S25: a task that wants the lock again at once, and others in line."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Trial

TURNS = 50


def run(trial: Trial) -> dict[str, Metric]:
    """Two tasks take the lock again as soon as they have let go of it."""
    order: list[str] = []

    def main() -> None:
        trial.code.main(trial.core, TURNS, order)

    trial.run(main, lambda client: None, required=False)
    return {
        "turns": len(order),
        "twice_in_a_row": sum(a == b for a, b in pairwise(order)),
    }


SCENARIO = Scenario(
    id="S25",
    module=__name__,
    title="A greedy task and a fair lock",
    done=(
        f"Two tasks take one lock {TURNS} times each, again as soon as they have released it "
        "(`twice_in_a_row`: turns that followed one's own while the other was in line)."
    ),
    why="A lock that lets its last owner in again starves the others under load.",
    label=Label.SAME,
    links=(
        Link(
            "asyncio: Lock is fair",
            "https://docs.python.org/3/library/asyncio-sync.html#asyncio.Lock",
        ),
        Link("Trio: Lock", "https://trio.readthedocs.io/en/stable/reference-core.html#trio.Lock"),
    ),
    shown="{twice_in_a_row} of {turns} out of turn",
    wanted=facts(twice_in_a_row=0),
    expected=(expect("trio modern classic hardened anyio", turns=2 * TURNS, twice_in_a_row=0),),
    run=run,
)
