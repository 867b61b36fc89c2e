"""S9b: S9 with asyncio's eager tasks."""

from __future__ import annotations

from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts
from trio_stages.compare.scenarios.s09_cancel_before_the_first_step import CONNECTIONS, run

SCENARIO = Scenario(
    id="S9b",
    module=__name__,
    title="Cancelled before the first step, with asyncio's eager tasks",
    done="As S9, with `asyncio.eager_task_factory`, which Python 3.11 does not have yet.",
    why="One line at start-up cures S9, for connections and for anything else, from 3.12 on.",
    label=Label.TRADE_OFF,
    links=(
        Link(
            "asyncio: eager_task_factory (3.12)",
            "https://docs.python.org/3/library/asyncio-task.html#asyncio.eager_task_factory",
        ),
    ),
    shown="{closed} of {handed_over} closed",
    wanted=facts(closed=CONNECTIONS),
    expected=(
        expect("modern", before=(3, 12), closed=0, because="there are no eager tasks"),
        expect("modern", since=(3, 12), closed=CONNECTIONS),
        expect("trio", closed=CONNECTIONS),
    ),
    run=run,
    columns=("trio", "modern"),
    note=(
        "It changes the order in which everything runs, for all tasks of the loop: the price of "
        "the line."
    ),
)
