"""The lab's pictures: one function for each kind of plot that ``results`` knows.

* ``ink``: which colour and which mark a role has, how numbers and axes read
* ``labels``: names beside their lines instead of in a legend
* ``curves``: sweeps, offered load against goodput, distributions
* ``timeline``: the queue over time; ``lanes``: what each worker did
* ``bars``: waterfalls and bars
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .bars import bars, waterfall
from .curves import curves, distribution
from .lanes import lanes
from .timeline import timeline

if TYPE_CHECKING:
    from clients.lab.results import Plot

KINDS = {
    "queue_over_time": timeline,
    "distribution": distribution,
    "lanes": lanes,
    "sweep": curves,
    "offered_vs_goodput": curves,
    "waterfall": waterfall,
    "bars": bars,
}


def draw(plot: Plot) -> str:
    """Draw a plot.

    Returns:
        A complete ``<svg>``, the same for the same plot.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    return KINDS[plot.kind](plot)
