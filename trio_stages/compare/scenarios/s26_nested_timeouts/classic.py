"""asyncio: the inner wait_for is cancelled, the outer one raises."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def step(step_s: float) -> str:
    """Return "step" where its own time was up."""
    try:
        await asyncio.wait_for(asyncio.Event().wait(), step_s)
    except TimeoutError:
        return "step"
    return "nobody"


async def run(core: Core, request_s: float, step_s: float) -> str:
    """Return whose timeout it was."""
    try:
        return await asyncio.wait_for(step(step_s), request_s)
    except TimeoutError:
        return "request"


def main(core: Core, request_s: float, step_s: float) -> str:
    """The process."""
    return asyncio.run(run(core, request_s, step_s))
