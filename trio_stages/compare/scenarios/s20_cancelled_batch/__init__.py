"""S20: a bulk request, one part of which fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.results import MARK
from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Trial

PARTS = 10
# How long after the answer the parts that still run are watched.
WATCH_S = 0.3


class Rejected(Exception):
    """One part of the batch is not acceptable."""


def run(trial: Trial) -> dict[str, Metric]:
    """Ten parts at once; the second fails, and the client is answered."""
    recorder = trial.core.recorder

    def watch() -> None:
        """The answer has gone out; what still happens?"""
        recorder.mark("client", "answered: nothing has been applied")
        recorder.wait(MARK, "task: part", "applied", times=PARTS, timeout_s=WATCH_S)

    def main() -> None:
        trial.code.main(trial.core, PARTS, Rejected, watch)

    trial.run(main, lambda client: None, required=False)
    return {"applied_later": recorder.count(MARK, "task: part", "applied")}


SCENARIO = Scenario(
    id="S20",
    module=__name__,
    title="A batch of which one part fails",
    done=(
        f"A bulk request of {PARTS} events, a task for each. One is rejected before any other is "
        "applied; the client gets the answer that nothing has been. `applied_later`: parts that "
        "are applied after that answer."
    ),
    why="The client corrects its batch and sends it again; what was applied meanwhile is doubled.",
    label=Label.SAME,
    links=(
        Link(
            "asyncio: gather, when an awaitable raises",
            "https://docs.python.org/3/library/asyncio-task.html#asyncio.gather",
        ),
        Link(
            "asyncio: TaskGroup",
            "https://docs.python.org/3/library/asyncio-task.html#task-groups",
        ),
    ),
    shown="{applied_later} applied after the answer",
    wanted=facts(applied_later=0),
    expected=(
        expect("trio anyio modern hardened", applied_later=0),
        expect("classic", applied_later=PARTS - 1),
    ),
    run=run,
    note="`gather` raises the first error and lets the others run; documented, and rarely wanted.",
)
