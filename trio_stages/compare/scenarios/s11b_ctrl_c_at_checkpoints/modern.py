"""asyncio.run: as in S11; an interrupt is a cancellation, at the next await."""

from trio_stages.compare.scenarios.s11_ctrl_c_in_a_pair.modern import main

__all__ = ["main"]
