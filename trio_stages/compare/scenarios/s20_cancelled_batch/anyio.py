"""anyio: the group cancels the others, and waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_stages.compare.core import Core


async def part(core: Core, number: int, answered: anyio.Event, error: type[Exception]) -> None:
    """Check one event, wait for the store, apply it."""
    with core.task("part"):
        if number == 1:
            raise error
        await answered.wait()
        core.recorder.mark("task: part", "applied")


async def run(core: Core, parts: int, error: type[Exception], watch: Callable[[], None]) -> None:
    """All parts at once; then the answer."""
    answered = anyio.Event()
    with core.store:
        try:
            async with anyio.create_task_group() as group:
                for number in range(parts):
                    group.start_soon(part, core, number, answered, error)
        except* error:
            core.recorder.mark("server", "the batch has failed")
        answered.set()
        await anyio.to_thread.run_sync(watch)


def main(core: Core, parts: int, error: type[Exception], watch: Callable[[], None]) -> None:
    """The process."""
    anyio.run(run, core, parts, error, watch)
