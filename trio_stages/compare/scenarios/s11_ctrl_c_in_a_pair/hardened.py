"""asyncio.run: an interrupt is a cancellation, at the next await."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_stages.compare.core import Core
    from trio_stages.compare.scenarios.s11_ctrl_c_in_a_pair import Pair


async def run(core: Core, pair: Pair) -> None:
    """One task works, another one waits."""
    with core.store:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.Event().wait())
            core.listening(0)
            with core.task("pair"):
                pair.add(1)
                await asyncio.Event().wait()


def main(core: Core, pair: Pair) -> None:
    """The process."""
    asyncio.run(run(core, pair))
