"""Stage 3: a pydantic ``Event``, and predictable errors.

Pain: the server believes whatever it is sent, and waits for it for ever.
Idea: validate at the boundary, once; every fault has its reply, every wait its timeout, and what
was received is counted. From here on the connections are ``server.py``'s, the same for all stages.
Still hurts: nothing is done with the events yet.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio

from trio_stages import replies
from trio_stages.events import InvalidEvent, parse_event
from trio_stages.heartbeat import heartbeat
from trio_stages.routes import Routes
from trio_stages.server import Listener, serve_http

if TYPE_CHECKING:
    from trio_stages.connection import Client
    from trio_stages.messages import Request
    from trio_stages.replies import Reply
    from trio_stages.telemetry import Telemetry

DEFAULTS: dict[str, object] = {}


def handle(telemetry: Telemetry, request: Request, client: Client) -> Reply:
    """Answer one event."""
    try:
        parse_event(request.body)
    except InvalidEvent as invalid:
        telemetry.ledger.invalid()
        return replies.invalid_json(invalid.detail)
    telemetry.ledger.processed_at_once()
    return replies.PROCESSED


async def serve(
    listener: Listener,
    telemetry: Telemetry,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(heartbeat)
        routes = Routes(telemetry, partial(handle, telemetry))
        await serve_http(listener, routes.respond, telemetry, task_status=task_status)
