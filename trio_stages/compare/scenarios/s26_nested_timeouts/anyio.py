"""anyio: each scope catches its own cancellation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def run(core: Core, request_s: float, step_s: float) -> str:
    """Return whose timeout it was."""
    with anyio.move_on_after(request_s) as request:
        try:
            with anyio.fail_after(step_s):
                await anyio.sleep_forever()
        except TimeoutError:
            return "step"
    return "request" if request.cancelled_caught else "nobody"


def main(core: Core, request_s: float, step_s: float) -> str:
    """The process."""
    return anyio.run(run, core, request_s, step_s)
