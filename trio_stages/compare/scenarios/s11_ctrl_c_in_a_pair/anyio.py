"""anyio: asyncio's way, for asyncio runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from trio_stages.compare.core import Core
    from trio_stages.compare.scenarios.s11_ctrl_c_in_a_pair import Pair


async def run(core: Core, pair: Pair) -> None:
    """One task works, another one waits."""
    with core.store:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            core.listening(0)
            with core.task("pair"):
                pair.add(1)
                await anyio.sleep_forever()


def main(core: Core, pair: Pair) -> None:
    """The process."""
    anyio.run(run, core, pair)
