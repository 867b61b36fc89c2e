"""asyncio: gather raises the first."""

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
    await asyncio.gather(*(fail(error) for error in errors))


def main(core: Core, *errors: type[Exception]) -> None:
    """The process."""
    asyncio.run(run(core, *errors))
