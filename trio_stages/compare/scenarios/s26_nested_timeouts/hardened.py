"""asyncio: each timeout knows whether it expired."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def run(core: Core, request_s: float, step_s: float) -> str:
    """Return whose timeout it was."""
    with suppress(TimeoutError):
        async with asyncio.timeout(request_s) as request:
            try:
                async with asyncio.timeout(step_s):
                    await asyncio.Event().wait()
            except TimeoutError:
                return "step"
    return "request" if request.expired() else "nobody"


def main(core: Core, request_s: float, step_s: float) -> str:
    """The process."""
    return asyncio.run(run(core, request_s, step_s))
