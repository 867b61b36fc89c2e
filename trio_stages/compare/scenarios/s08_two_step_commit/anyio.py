"""anyio: a shield around both steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from trio_stages.compare.core import Core
    from trio_stages.compare.recorder import Traced
    from trio_stages.jobs import Job


async def process(core: Core, lock: Traced, job: Job) -> None:
    """Journal, then apply: both or none."""
    with anyio.CancelScope(shield=True):
        await anyio.to_thread.run_sync(core.journal, job)
        await anyio.to_thread.run_sync(core.apply, job)
