"""What each column pays for the same work: queues, locks, tasks, threads, ends.

* ``on_trio``, ``modern``, ``classic``, ``hardened``, ``on_anyio``: the operations, in one order and
  under one name each; diff two of them
* ``operations``: what they are, and why a server should care
* ``clock``, ``clients``: what is timed, and the other ends of the connections
* ``cell``: one run, in a process of its own; ``measure``: rounds of them
* ``results``, ``tables``: medians, ratios, and who is ahead
"""

from __future__ import annotations

from .measure import measure
from .operations import COLUMNS, OPERATIONS, Operation
from .results import Costs, Ratio, Runs

__all__ = ["COLUMNS", "OPERATIONS", "Costs", "Operation", "Ratio", "Runs", "measure"]
