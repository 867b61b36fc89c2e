"""Stage 2: a nursery, and a task for each connection.

Pain: one silent client froze the server.
Idea: ``await`` instead of blocking, and a task for each client: while one waits, the others run,
hundreds of them on one thread. The nursery owns the tasks: none outlives it.
Still hurts: it believes whatever it is sent, and waits for it for ever.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from trio_stages import replies
from trio_stages.framing import Refused, RequestReader
from trio_stages.heartbeat import heartbeat
from trio_stages.tcp import accept

if TYPE_CHECKING:
    from trio_stages.telemetry import Telemetry

DEFAULTS: dict[str, object] = {}


async def handle(client: trio.abc.Stream, telemetry: Telemetry) -> None:
    """Answer each request with its own body, until the client is done."""
    reader = RequestReader()
    keep_alive = True
    async with client:
        with suppress(trio.BrokenResourceError):  # it may vanish at any byte
            try:
                while keep_alive:
                    while (request := reader.next_request()) is None:
                        if reader.at_eof:
                            return
                        if reader.continue_due():
                            await client.send_all(replies.CONTINUE)
                        reader.feed(await client.receive_some(65_536))
                    keep_alive = request.head.keep_alive
                    await client.send_all(replies.echo(request.body).render(request.head))
            except Refused as refused:
                telemetry.ledger.http_error()
                await client.send_all(refused.reply.render(None, to_head=reader.to_head))


async def serve(
    listener: trio.abc.Listener[trio.abc.Stream],
    telemetry: Telemetry,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve all clients at once until cancelled."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(heartbeat)
        task_status.started()
        while True:
            client = await accept(listener)
            nursery.start_soon(handle, client, telemetry)
