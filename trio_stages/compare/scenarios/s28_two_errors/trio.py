"""Trio: an exception group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def fail(error: type[Exception]) -> None:
    """One of the two."""
    raise error


async def run(core: Core, *errors: type[Exception]) -> None:
    """Both at once."""
    async with trio.open_nursery() as nursery:
        for error in errors:
            nursery.start_soon(fail, error)


def main(core: Core, *errors: type[Exception]) -> None:
    """The process."""
    trio.run(run, core, *errors)
