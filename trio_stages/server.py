"""Accepting connections: a task for each that goes on, and a bound on how many there are.

Rules:

1. At most ``max_connections`` are served. A reserve of ``RESERVE`` more is told that there are too
   many, and lets ``/health`` through, so that an overloaded server is not taken for a dead one.
   Beyond these nothing is accepted: further clients wait in the kernel's backlog.
2. Running out of file descriptors is the machine's overload, not a bug of ours: wait, and go on.
3. What can be answered at once, is; only a connection that goes on gets a task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import trio
from trio_util import move_on_when, run_and_cancelling

from .connection import LAST_CALL_S, Connection
from .readiness import open_readiness
from .tcp import Arrivals
from .timeouts import Timeouts
from .turns import Turns

if TYPE_CHECKING:
    from .connection import Respond
    from .telemetry import Telemetry

RESERVE = 16
RESERVE_TIMEOUT_S = 1.0
# No connection for this long after a graceful stop: the kernel has none queued.
BACKLOG_S = 0.02
# And whatever it goes on queueing, this long after the stop the listener is closed.
LAST_ACCEPT_S = 0.25


class Gateway(Protocol):
    """What may stand in for a listener: a host that owns the connections itself (``asgi.py``)."""

    async def serve(
        self, respond: Respond, stop: trio.Event | None, *, task_status: trio.TaskStatus[None]
    ) -> None:
        """Answer requests with ``respond`` until told to stop, or cancelled."""


Listener = trio.abc.Listener[trio.abc.Stream] | Gateway


async def serve_http(
    listener: Listener,
    respond: Respond,
    telemetry: Telemetry,
    stop: trio.Event | None = None,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve HTTP until told to stop, gracefully, or until cancelled: then all is closed at once.

    A graceful stop takes the connections that the kernel has queued, closes the listener, lets
    each connection finish the request that is under way, and returns when all are closed.

    Args:
        listener: bound and listening, or another host of the connections.
        respond: answers one request.
        telemetry: for settings and counters.
        stop: set for a graceful stop; None where there is no such thing.
        task_status: told when connections are being accepted.
    """
    if not isinstance(listener, trio.abc.Listener):
        await listener.serve(respond, stop, task_status=task_status)
        return
    settings = telemetry.settings
    places = trio.Semaphore(settings.max_connections + RESERVE)
    turns = Turns(telemetry.ledger.worked_on)
    timeouts = Timeouts()
    connections: set[Connection] = set()

    async def serve(connection: Connection) -> None:
        try:
            await connection.serve()
        finally:
            telemetry.connections -= 1
            connections.discard(connection)
            places.release()

    async def turn_away(connection: Connection) -> None:
        try:
            await connection.turn_away(RESERVE_TIMEOUT_S)
        finally:
            places.release()

    async def newcomers(arrivals: Arrivals) -> list[trio.abc.Stream]:
        """Those who have come, as far as there are places for them; they have their places."""
        await places.acquire()
        try:
            streams = await arrivals.wait(most=1 + places.value)
        except BaseException:
            places.release()
            raise
        for _ in streams[1:]:
            places.acquire_nowait()
        return streams

    def admit(streams: list[trio.abc.Stream]) -> None:
        for stream in streams:
            connection = Connection(stream, respond, settings, telemetry, turns, timeouts)
            if telemetry.connections >= settings.max_connections:
                nursery.start_soon(turn_away, connection)
                continue
            telemetry.connections += 1
            if stop is not None and stop.is_set():
                connection.finish()
            if connection.begin():
                telemetry.connections -= 1
                places.release()
            else:
                connections.add(connection)
                nursery.start_soon(serve, connection)

    async with (
        open_readiness(turns) as readiness,
        run_and_cancelling(timeouts.watch),
        run_and_cancelling(turns.usher),
        trio.open_nursery() as nursery,
    ):
        with Arrivals(listener, readiness) as arrivals:
            task_status.started()
            async with move_on_when(trio.sleep_forever if stop is None else stop.wait):
                while True:
                    admit(await newcomers(arrivals))
            with trio.move_on_after(LAST_ACCEPT_S):
                while places.value:
                    with trio.move_on_after(BACKLOG_S) as quiet:
                        admit(await newcomers(arrivals))
                    if quiet.cancelled_caught:
                        break
            # Whether or not there are places, which nobody needs any more: they may have sent
            # before the stop.
            admit(arrivals.take_the_last())
        await listener.aclose()
        for connection in connections:
            connection.finish()
        await trio.sleep(LAST_CALL_S)
        await readiness.catch_up()  # however slow the loop is, and however many have sent something
        for connection in connections:
            connection.dismiss()
