"""asyncio: an exception group."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def fail(error: type[Exception]) -> None:
    """One of the two."""
    raise error


async def run(core: Core, *errors: type[Exception]) -> None:
    """Both at once."""
    async with asyncio.TaskGroup() as group:
        for error in errors:
            group.create_task(fail(error))


def main(core: Core, *errors: type[Exception]) -> None:
    """The process."""
    asyncio.run(run(core, *errors))
