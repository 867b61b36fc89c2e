"""Trio: as in S9; every task reaches its first checkpoint."""

from trio_stages.compare.scenarios.s09_cancel_before_the_first_step.trio import main

__all__ = ["main"]
