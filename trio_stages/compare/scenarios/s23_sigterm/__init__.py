"""S23: SIGTERM, idle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.trial import Client, Trial


def run(trial: Trial) -> None:
    """An idle server with a handler for SIGTERM gets it."""

    def script(client: Client) -> None:
        client.post("job")
        client.stop()

    trial.configure(drain_s=30.0)
    trial.serve(script)


SCENARIO = Scenario(
    id="S23",
    module=__name__,
    title="SIGTERM with a handler",
    done="One job, then SIGTERM, for which each shell has a handler.",
    why="What every supervisor sends first.",
    label=Label.SAME,
    links=(
        Link(
            "Trio: open_signal_receiver",
            "https://trio.readthedocs.io/en/stable/reference-io.html#trio.open_signal_receiver",
        ),
        Link(
            "asyncio: add_signal_handler",
            "https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.add_signal_handler",
        ),
    ),
    shown="exit status {exit_status}, {lost} lost",
    wanted=facts(exit_status=0, lost=0),
    expected=(expect("trio modern classic hardened anyio", exit_status=0, lost=0, applied=1),),
    run=run,
    exhibit=("run",),
)
