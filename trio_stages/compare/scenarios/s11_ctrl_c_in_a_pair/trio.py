"""Trio: an interrupt may come at any line of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from trio_stages.compare.core import Core
    from trio_stages.compare.scenarios.s11_ctrl_c_in_a_pair import Pair


async def run(core: Core, pair: Pair) -> None:
    """One task works, another one waits."""
    with core.store:
        async with trio.open_nursery() as group:
            group.start_soon(trio.sleep_forever)
            core.listening(0)
            with core.task("pair"):
                pair.add(1)
                await trio.sleep_forever()


def main(core: Core, pair: Pair) -> None:
    """The process."""
    trio.run(run, core, pair)
