"""Accepting connections: a task for each in one nursery, and a bound on how many there are.

Rules:

1. At most ``max_connections`` are served. A reserve of ``RESERVE`` more is told that there are too
   many, and lets ``/health`` through, so that an overloaded server is not taken for a dead one.
   Beyond these nothing is accepted: further clients wait in the kernel's backlog.
2. Running out of file descriptors is the machine's overload, not a bug of ours: wait, and go on.
"""

from __future__ import annotations

import errno
import logging
import socket
from typing import TYPE_CHECKING, Protocol

import trio
from trio_util import move_on_when

from .connection import LAST_CALL_S, Connection
from .turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .connection import Respond
    from .telemetry import Telemetry

RESERVE = 16
RESERVE_TIMEOUT_S = 1.0
# The errors of accept(2) that pass when somebody else lets go of something (as in Trio's own
# serve_listeners), and how long to give them.
OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
OUT_OF_RESOURCES_PAUSE_S = 0.1
# No connection for this long after a graceful stop: the kernel has none queued.
BACKLOG_S = 0.02
# And whatever it goes on queueing, this long after the stop the listener is closed.
LAST_ACCEPT_S = 0.25

log = logging.getLogger(__name__)


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
    turns = Turns()
    connections: set[Connection] = set()

    async def serve(connection: Connection) -> None:
        try:
            await connection.serve(respond)
        finally:
            telemetry.connections -= 1
            connections.discard(connection)
            places.release()

    async def turn_away(connection: Connection) -> None:
        try:
            await connection.turn_away(respond, RESERVE_TIMEOUT_S)
        finally:
            places.release()

    def admit(stream: trio.abc.Stream) -> None:
        connection = Connection(stream, settings, telemetry, turns)
        if telemetry.connections < settings.max_connections:
            telemetry.connections += 1
            connections.add(connection)
            nursery.start_soon(serve, connection)
        else:
            nursery.start_soon(turn_away, connection)

    async with trio.open_nursery() as nursery:
        task_status.started()
        async with move_on_when(trio.sleep_forever if stop is None else stop.wait):
            while True:
                await places.acquire()
                admit(await accept(listener))
        with trio.move_on_after(LAST_ACCEPT_S):
            while places.value:
                with trio.move_on_after(BACKLOG_S) as quiet:
                    stream = await accept(listener)
                if quiet.cancelled_caught:
                    break
                places.acquire_nowait()
                admit(stream)
        for stream in queued(listener):  # a place or not: they may have sent before the stop
            admit(stream)
        await listener.aclose()
        for connection in connections:
            connection.finish()
        await trio.sleep(LAST_CALL_S)
        # Once more round the loop, however long its last turn took: all that had come is read now.
        await trio.lowlevel.checkpoint()
        for connection in connections:
            connection.dismiss()


async def accept(listener: trio.abc.Listener[trio.abc.Stream]) -> trio.abc.Stream:
    """Return the next connection; wait while the process is out of file descriptors."""
    while True:
        try:
            return await listener.accept()
        except OSError as error:
            if error.errno not in OUT_OF_RESOURCES:
                raise
            log.warning("cannot accept a connection: %s; trying again", error.strerror)
            await trio.sleep(OUT_OF_RESOURCES_PAUSE_S)


def queued(listener: trio.abc.Listener[trio.abc.Stream]) -> Iterator[trio.abc.Stream]:
    """Take all connections that the kernel has queued for a socket, in one go.

    Closing a listener resets whoever is left in its queue, and ``accept`` takes a turn of the loop
    for each: under a flood of connections there is no end of it.
    """
    if not isinstance(listener, trio.SocketListener):
        return
    queue = socket.socket(fileno=listener.socket.fileno())
    try:
        while True:
            connection, _ = queue.accept()
            yield trio.SocketStream(trio.socket.from_stdlib_socket(connection))
    except OSError as error:  # most of all BlockingIOError: it is empty
        if error.errno not in OUT_OF_RESOURCES | {errno.EAGAIN}:
            raise
    finally:
        queue.detach()
