"""S2: a stop while 200 clients keep their connections open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.results import START
from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.trial import Client, Trial

CLIENTS = 200


def run(trial: Trial) -> None:
    """200 keep-alive connections, answered once and idle since; then SIGTERM."""

    def script(client: Client) -> None:
        for _ in range(CLIENTS):
            client.connect_and_greet()
        client.until(START, "task: connection", times=CLIENTS)
        client.stop()

    trial.run(lambda: trial.code.main(trial.core), script)


SCENARIO = Scenario(
    id="S2",
    module=__name__,
    title=f"SIGTERM with {CLIENTS} idle keep-alive connections, served as documented",
    done=(
        f"{CLIENTS} clients have each been answered once and keep their connection open, as "
        "browsers and connection pools do. Then the server is told to stop. Modern and classic "
        "serve as asyncio's documentation has it: `async with server: await "
        "server.serve_forever()`."
    ),
    why=(
        "Every deployment does this. A server that waits for idle clients is killed at the end of "
        "its grace period, with whatever it still had to write; one that leaves their handlers "
        "behind has tasks running on a store that is closed."
    ),
    label=Label.TRIO_BETTER,
    links=(
        Link(
            "gh-123720: serve_forever cannot be cancelled while a client is connected",
            "https://github.com/python/cpython/issues/123720",
        ),
        Link(
            "gh-104344: wait_closed hangs in 3.12",
            "https://github.com/python/cpython/issues/104344",
        ),
    ),
    shown="ended, {tasks_left} tasks left",
    wanted=facts(tasks_left=0),
    expected=(
        expect("trio anyio hardened", tasks_left=0, ended_by="return"),
        expect("modern", before=(3, 12), tasks_left=0, ended_by="return"),
        expect("classic", before=(3, 12), tasks_left=CLIENTS, ended_by="return"),
        expect(
            "modern classic",
            since=(3, 12),
            outcome="HANG",
            because="Server.wait_closed() waits for all connections",
        ),
    ),
    run=run,
    exhibit=("serve",),
    note=(
        "The cure: keep the handlers' tasks, cancel them, and call `wait_closed()` after that, or "
        "never. Since 3.13 there is also `Server.close_clients()`. All shells here have learnt "
        "this, so that the other scenarios are not all about it."
    ),
)
