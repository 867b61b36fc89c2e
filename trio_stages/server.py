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
from typing import TYPE_CHECKING

import trio

from .connection import Connection
from .turns import Turns

if TYPE_CHECKING:
    from .connection import Respond
    from .telemetry import Telemetry

RESERVE = 16
RESERVE_TIMEOUT_S = 1.0
# The errors of accept(2) that pass when somebody else lets go of something (as in Trio's own
# serve_listeners), and how long to give them.
OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
OUT_OF_RESOURCES_PAUSE_S = 0.1

log = logging.getLogger(__name__)

Listener = trio.abc.Listener[trio.abc.Stream]


async def serve_http(
    listener: Listener,
    respond: Respond,
    telemetry: Telemetry,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve HTTP until cancelled; then every connection is closed at once.

    Args:
        listener: bound and listening; the caller closes it.
        respond: answers one request.
        telemetry: for settings and counters.
        task_status: told when connections are being accepted.
    """
    settings = telemetry.settings
    places = trio.Semaphore(settings.max_connections + RESERVE)
    turns = Turns()

    async def serve(stream: trio.abc.Stream) -> None:
        telemetry.connections += 1
        try:
            await Connection(stream, settings, telemetry, turns).serve(respond)
        finally:
            telemetry.connections -= 1
            places.release()

    async def turn_away(stream: trio.abc.Stream) -> None:
        try:
            await Connection(stream, settings, telemetry, turns).turn_away(
                respond, RESERVE_TIMEOUT_S
            )
        finally:
            places.release()

    async with trio.open_nursery() as nursery:
        task_status.started()
        while True:
            await places.acquire()
            stream = await accept(listener)
            full = telemetry.connections >= settings.max_connections
            nursery.start_soon(turn_away if full else serve, stream)


async def accept(listener: Listener) -> trio.abc.Stream:
    """Return the next connection; wait while the process is out of file descriptors."""
    while True:
        try:
            return await listener.accept()
        except OSError as error:
            if error.errno not in OUT_OF_RESOURCES:
                raise
            log.warning("cannot accept a connection: %s; trying again", error.strerror)
            await trio.sleep(OUT_OF_RESOURCES_PAUSE_S)
