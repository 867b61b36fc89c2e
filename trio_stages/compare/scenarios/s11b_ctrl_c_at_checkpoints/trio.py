"""Trio: an interrupt waits for the next checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from trio_stages.compare.scenarios.s11_ctrl_c_in_a_pair.trio import run

if TYPE_CHECKING:
    from trio_stages.compare.core import Core
    from trio_stages.compare.scenarios.s11_ctrl_c_in_a_pair import Pair


def main(core: Core, pair: Pair) -> None:
    """The process."""
    trio.run(run, core, pair, restrict_keyboard_interrupt_to_checkpoints=True)
