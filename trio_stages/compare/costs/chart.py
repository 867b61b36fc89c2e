"""The costs at a glance: how many times as fast as Trio, on a scale of powers of two."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trio_stages.compare.drawing import WIDTH, Drawing
from trio_stages.report import Figure

if TYPE_CHECKING:
    from .results import Costs

COLOURS = {
    "modern": "#d07a1e",
    "classic": "#b8860b",
    "hardened": "#d9534a",
    "anyio": "#8a6fd8",
}
LEFT, RIGHT = 158.0, 14.0
ROW, HEAD, FOOT = 21.0, 42.0, 12.0


def chart(costs: Costs) -> Figure:
    """A row for each operation, a dot for each column, a line from its least to its most."""
    columns = [column for column in costs.columns if column in COLOURS]
    ratios = {
        (operation.name, column): ratio
        for operation in costs.operations
        for column in columns
        if (ratio := costs.ratio(operation.name, column))
    }
    low = math.floor(math.log2(min([0.5, *(ratio.least for ratio in ratios.values())])))
    high = math.ceil(math.log2(max([2.0, *(ratio.most for ratio in ratios.values())])))

    def x_of(ratio: float) -> float:
        share = (math.log2(ratio) - low) / (high - low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    drawing = Drawing()
    bottom = HEAD + ROW * len(costs.operations)
    step = WIDTH / max(1, len(columns))
    for number, column in enumerate(columns):
        drawing.circle(6 + number * step, 6, 3.5, COLOURS[column])
        drawing.text(14 + number * step, 10, column)
    for power in range(low, high + 1):
        x = x_of(2.0**power)
        drawing.line(
            x, HEAD - 8, x, bottom, opacity=0.75 if power == 0 else 0.14, width=1 + (power == 0)
        )
        name = f"{2**power} ×" if power > 0 else f"1/{2**-power}" if power < 0 else "Trio"
        drawing.text(x, HEAD - 13, name, size=10, anchor="middle", bold=power == 0, soft=power != 0)
    for row, operation in enumerate(costs.operations):
        y = HEAD + ROW * row + ROW / 2
        drawing.text(LEFT - 10, y + 3.5, operation.title, size=10, anchor="end")
        for number, column in enumerate(columns):
            if ratio := ratios.get((operation.name, column)):
                dot_y = y + (number - (len(columns) - 1) / 2) * 4.4
                told = f"{operation.title}, {column}: {ratio} times as fast as Trio"
                drawing.line(
                    x_of(ratio.least), dot_y, x_of(ratio.most), dot_y, colour=COLOURS[column]
                )
                drawing.circle(x_of(ratio.median), dot_y, 2.4, COLOURS[column], title=told)
        drawing.line(0, y + ROW / 2, WIDTH, y + ROW / 2, opacity=0.1)
    return Figure(
        svg=drawing.svg(bottom + FOOT),
        caption="How many times as fast as Trio: to the right of the line is faster. Dots are "
        "medians, lines reach from the least to the most of the rounds.",
        alt="; ".join(
            f"{operation.title}: modern asyncio {ratios[operation.name, 'modern'].median:.1f} "
            "times as fast as Trio"
            for operation in costs.operations
            if (operation.name, "modern") in ratios
        ),
    )
