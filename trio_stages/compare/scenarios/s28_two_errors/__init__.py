"""S28: two parts fail at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Trial


class DiskFull(Exception):
    """What the journal says."""


class ConnectionLost(Exception):
    """What the database says."""


def run(trial: Trial) -> dict[str, Metric]:
    """Two tasks of one request fail in the same turn of the loop."""

    def main() -> None:
        trial.code.main(trial.core, DiskFull, ConnectionLost)

    trial.run(main, lambda client: None, required=False)
    raised = str(trial.metrics["raised"])
    return {"reported": raised.count(",") + 1}


SCENARIO = Scenario(
    id="S28",
    module=__name__,
    title="Two errors at once",
    done="Two tasks of one request fail in the same turn of the event loop.",
    why="The second error is often the cause of the first; whoever is woken at night wants both.",
    label=Label.SAME,
    links=(
        Link("PEP 654: exception groups", "https://peps.python.org/pep-0654/"),
        Link(
            "asyncio: gather",
            "https://docs.python.org/3/library/asyncio-task.html#asyncio.gather",
        ),
    ),
    shown="raised: {raised}",
    wanted=facts(reported=2),
    expected=(
        expect("trio anyio modern hardened", reported=2),
        expect("classic", reported=1, raised="DiskFull"),
    ),
    run=run,
    note="`gather(return_exceptions=True)` has both too, for those who look.",
)
