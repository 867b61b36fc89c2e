"""A task that should tick: when it is late, the whole loop was frozen, not one task."""

from __future__ import annotations

import logging

import trio

PERIOD_S = 0.1
# Ten times what a healthy loop is late on a busy machine, and less than a person waits gladly.
FROZEN_S = 0.25
TELL_EVERY_S = 1.0

log = logging.getLogger(__name__)


async def heartbeat() -> None:
    """Tick until cancelled; after a freeze say how long no task could run."""
    told_s = trio.current_time()
    while True:
        due_s = trio.current_time() + PERIOD_S
        await trio.sleep_until(due_s)
        now_s = trio.current_time()
        if now_s - due_s > FROZEN_S:
            log.warning("the event loop was frozen for %.1f s: no task ran", now_s - due_s)
        if now_s - told_s >= TELL_EVERY_S:
            told_s = now_s
            log.debug("heartbeat")
