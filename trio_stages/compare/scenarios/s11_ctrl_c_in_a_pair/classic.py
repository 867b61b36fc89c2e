"""run_until_complete: an interrupt may come at any line, the event loop's own too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_stages.compare.core import Core
    from trio_stages.compare.scenarios.s11_ctrl_c_in_a_pair import Pair


async def run(core: Core, pair: Pair) -> None:
    """One task works, another one waits."""
    with core.store:
        other = asyncio.create_task(asyncio.Event().wait())
        core.listening(0)
        with core.task("pair"):
            pair.add(1)
            await other


def main(core: Core, pair: Pair) -> None:
    """The process."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(run(core, pair))
    finally:
        loop.close()
