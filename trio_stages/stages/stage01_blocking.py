"""Stage 1: one blocking connection at a time.

Pain: none yet; this is the server that everybody writes first.
Idea: accept a client, read its request, answer it, take the next.
Still hurts: ``recv`` waits in the kernel, and with it waits the whole event loop. One client that
connects and says nothing freezes everything: the other clients, and the heartbeat in our nursery.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from trio_stages import replies
from trio_stages.framing import Refused, RequestReader
from trio_stages.heartbeat import heartbeat
from trio_stages.signals import interruptible
from trio_stages.tcp import accept

if TYPE_CHECKING:
    from trio_stages.telemetry import Telemetry

DEFAULTS: dict[str, object] = {}


def handle(client: socket.socket, telemetry: Telemetry) -> None:
    """Answer one request with its own body. Blocks, and with it everything else."""
    reader = RequestReader()
    with client, suppress(OSError):  # it may vanish at any byte
        try:
            while (request := reader.next_request()) is None:
                if reader.at_eof:
                    return
                if reader.continue_due():
                    client.sendall(replies.CONTINUE)
                reader.feed(client.recv(65_536))
            head = replace(request.head, keep_alive=False)
            client.sendall(replies.echo(request.body).render(head))
        except Refused as refused:
            telemetry.ledger.http_error()
            client.sendall(refused.reply.render(None, to_head=reader.to_head))


async def serve(
    listener: trio.SocketListener,
    telemetry: Telemetry,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve one client after the other until cancelled."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(heartbeat)
        task_status.started()
        while True:
            stream = await accept(listener)
            client = socket.socket(fileno=stream.socket.detach())
            client.setblocking(True)
            interruptible(handle, client, telemetry)
