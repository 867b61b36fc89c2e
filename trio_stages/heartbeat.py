"""A task that should tick: when it is late, the whole loop was frozen, not one task."""

from __future__ import annotations

import logging

import trio

PERIOD_S = 0.5
# Ten times what a healthy loop is late on a busy machine, and well below what a person notices.
FROZEN_S = 0.25

log = logging.getLogger(__name__)


async def heartbeat(period_s: float = PERIOD_S) -> None:
    """Tick until cancelled; after a freeze say how long no task could run.

    Args:
        period_s: seconds between two ticks.
    """
    beat = 0
    while True:
        due = trio.current_time() + period_s
        await trio.sleep_until(due)
        late_s = trio.current_time() - due
        beat += 1
        if late_s > FROZEN_S:
            log.warning("the event loop was frozen for %.1f s: no task ran", late_s)
        else:
            log.debug("heartbeat %d", beat)
