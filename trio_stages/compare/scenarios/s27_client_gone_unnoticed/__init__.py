"""S27: the client leaves while its request waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.results import MARK
from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts
from trio_stages.compare.trial import request

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Client, Trial

WAITS, NOTICED = "the request waits", "noticed that the client has gone"
# How long after the client has gone the handler is watched.
WATCH_S = 0.5


def leave_while_waiting(client: Client) -> None:
    """Post, leave, and see whether anybody notices; then SIGTERM."""
    with client.connect() as sock:
        sock.sendall(request("job"))
        client.until(MARK, "task:", WAITS)
    client.recorder.mark("client", "gone")
    client.recorder.wait(MARK, "task:", NOTICED, timeout_s=WATCH_S)
    client.stop()


def run(trial: Trial) -> dict[str, Metric]:
    """The handler waits, as for a place in the queue; its client hangs up."""
    trial.serve(leave_while_waiting, connection=trial.code.connection)
    return {"noticed": trial.core.recorder.count(MARK, "task:", NOTICED)}


SCENARIO = Scenario(
    id="S27",
    module=__name__,
    title="A client hangs up while its request waits, by default",
    done=(
        "A handler has read its request and waits, as for a place in the queue. The client closes "
        "the connection. Does the handler hear of it while it waits?"
    ),
    why="Under overload a server works mostly for those who have left, unless it notices.",
    label=Label.SAME,
    links=(
        Link(
            "asyncio: streams",
            "https://docs.python.org/3/library/asyncio-stream.html",
        ),
        Link(
            "Trio: streams",
            "https://trio.readthedocs.io/en/stable/reference-io.html#the-abstract-stream-api",
        ),
    ),
    shown="noticed: {noticed}",
    wanted=facts(noticed=1),
    expected=(expect("trio modern classic hardened anyio", noticed=0),),
    run=run,
    note="A stream tells whoever reads, and a handler that waits does not read. See S27b.",
)
