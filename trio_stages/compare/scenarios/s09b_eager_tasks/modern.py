"""asyncio: every task begins at once, and so has a `finally` to reach."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from trio_stages.compare.scenarios.s09_cancel_before_the_first_step.modern import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_stages.compare.core import Core


async def run_eagerly(core: Core, burst: Callable[[int], int], observe: Callable[[], None]) -> None:
    """Where there are eager tasks, all from here on are."""
    if sys.version_info >= (3, 12):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    await run(core, burst, observe)


def main(core: Core, burst: Callable[[int], int], observe: Callable[[], None]) -> None:
    """The process."""
    asyncio.run(run_eagerly(core, burst, observe))
