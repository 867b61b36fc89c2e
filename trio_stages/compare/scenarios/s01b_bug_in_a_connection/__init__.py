"""S1b: a mistake of ours in one connection, and a client on another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.core import BUG
from trio_stages.compare.scenario import Label, Link, Scenario, contains, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Client, Trial


def run(trial: Trial) -> dict[str, Metric]:
    """One request meets a bug; then another client posts."""
    seen: dict[str, Metric] = {}

    def script(client: Client) -> None:
        other = client.connect_and_greet()
        client.post(BUG)
        alive = not client.server_ends()
        seen["other_client"] = client.post("job", other)
        if alive:
            client.stop()

    trial.serve(script)
    return seen


SCENARIO = Scenario(
    id="S1b",
    module=__name__,
    title="An error that nobody foresaw, in one connection",
    done=(
        "Two clients are connected. The request of one meets a bug and raises; then the other one "
        "posts a job."
    ),
    why=(
        "One malformed request that meets an untested line should not be everybody's outage: a "
        "client would have found a way to turn off the server."
    ),
    label=Label.ASYNCIO_BETTER,
    links=(
        Link(
            "asyncio: start_server runs each callback as a task of its own",
            "https://docs.python.org/3/library/asyncio-stream.html#asyncio.start_server",
        ),
        Link(
            "Trio: serve_tcp, if a handler raises",
            "https://trio.readthedocs.io/en/stable/reference-io.html#trio.serve_tcp",
        ),
    ),
    shown="other client: {other_client}; raised: {raised}",
    wanted=facts(other_client=202),
    expected=(
        expect("trio anyio modern", other_client=0, ended_by=contains("Bug"), exit_status=1),
        expect("classic hardened", other_client=202, ended_by="return"),
    ),
    run=run,
    exhibit=("connection",),
    note=(
        "Tasks that nobody waits for isolate by default. With structure one wrapper does it: an "
        "`except Exception` that logs, around each connection, as the ladder and the hardened "
        "shell have."
    ),
)
