"""Plots as SVG that sits in a page, light or dark, and is the same for the same figures.

Rules of this file:

1. Deterministic: no date, no random ids. A report that is rendered again differs where its figures
   do.
2. Ink is ``currentColor`` and the paper is transparent, so a plot takes the colours of the page
   around it; alone in a file it follows the reader's system. The ``COLOURS`` stand out from a white
   page and from a dark one, at 3 : 1 and better.
3. Ids are unique to a plot: many of them share a page.

matplotlib is the extra ``report`` of this package, imported when the first plot is drawn.
"""

from __future__ import annotations

import io
import re
from hashlib import blake2b
from textwrap import wrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

# By the role of what they colour; a role looks the same in every plot.
COLOURS: dict[str, str] = {
    "measured": "#2f7fd0",
    "virtual": "#8a6fd8",
    "model": "#7d8590",
    "document": "#b8860b",
    "accepted": "#2a9461",
    "rejected": "#d9534a",
    "queued": "#2f7fd0",
    "wait": "#d07a1e",
    "hold": "#2a9461",
    "work": "#5b8bb5",
    "good": "#2a9461",
    "bad": "#d9534a",
    "asyncio": "#d07a1e",
    "trio": "#2f7fd0",
    "other": "#a0679f",
}

INK = "#010203"  # stands for currentColor until the SVG is written; no plot has this colour

STYLE: Any = {  # matplotlib's type of it differs from release to release
    "svg.hashsalt": "trio_stages",
    "svg.fonttype": "none",  # text stays text: it can be searched, and read aloud
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so the layout is the same everywhere
    "font.size": 13,  # a phone shows seven inches at three quarters of their size
    "figure.titlesize": 14,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 13,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.alpha": 0.14,
    "grid.linewidth": 0.8,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 12,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "savefig.edgecolor": "none",
    **dict.fromkeys(
        (
            "text.color",
            "axes.edgecolor",
            "axes.labelcolor",
            "axes.titlecolor",
            "xtick.color",
            "ytick.color",
            "xtick.labelcolor",
            "ytick.labelcolor",
            "grid.color",
            "legend.labelcolor",
        ),
        INK,
    ),
}

TITLE_PER_IN = 7.4  # letters of a title in an inch

FONTS = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"

# In a page the page's own colours agree with these; an <img> has no page around it.
_ALONE = (
    "<style>.plot{color:#1b1f24}@media(prefers-color-scheme:dark){.plot{color:#e4e7ea}}</style>"
)
_PAPER = (
    "<style>.plot{background:#fdfdfc}"
    "@media(prefers-color-scheme:dark){.plot{background:#14171a}}</style>"
)


# matplotlib writes millionths of a point; a hundredth is finer than any screen.
_COORDINATE = re.compile(r"(?<=[\s(\"])(-?\d+\.\d\d)\d{4}(?=[\s)\"])")


def svg(
    draw: Callable[[Axes], None],
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    width_in: float = 7.0,
    height_in: float = 3.6,
) -> str:
    """Draw one plot.

    Args:
        draw: draws on the axes it is given.
        title: above the plot, at the left; folded where it is too long.
        xlabel: name and unit of what goes to the right.
        ylabel: name and unit of what goes up.
        width_in: inches; a page scales them to its width, so this is the size of the text.
        height_in: inches.

    Returns:
        A complete ``<svg>`` with a ``viewBox`` and no size of its own.

    Raises:
        ModuleNotFoundError: matplotlib is not installed; says what to install.
    """

    def draw_one(axes: Sequence[Axes]) -> None:
        draw(axes[0])
        if xlabel:
            axes[0].set_xlabel(xlabel)
        if ylabel:
            axes[0].set_ylabel(ylabel)

    return panels(draw_one, title=title, width_in=width_in, height_in=height_in)


def panels(
    draw: Callable[[Sequence[Axes]], None],
    *,
    title: str = "",
    rows: int = 1,
    columns: int = 1,
    width_in: float = 7.0,
    height_in: float = 3.6,
    share_x: bool = False,
    share_y: bool = False,
    heights: Sequence[float] | None = None,
    widths: Sequence[float] | None = None,
) -> str:
    """Draw several plots that belong together.

    Args:
        draw: draws on the axes it is given, row by row.
        title: above all of them, at the left; folded where it is too long.
        rows: how many above each other.
        columns: how many side by side.
        width_in: inches in all.
        height_in: inches in all.
        share_x: whether they have one horizontal scale.
        share_y: whether they have one vertical scale.
        heights: of the rows, as ratios.
        widths: of the columns, as ratios.

    Returns:
        A complete ``<svg>`` with a ``viewBox`` and no size of its own.

    Raises:
        ModuleNotFoundError: matplotlib is not installed; says what to install.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "plots need matplotlib: pip install 'trio-stages[report]'", name=error.name
        ) from error

    with rc_context(STYLE), io.StringIO() as file:
        figure = Figure(figsize=(width_in, height_in), dpi=72, layout="constrained")  # as in SVG
        FigureCanvasSVG(figure)
        grid = figure.subplots(
            rows,
            columns,
            sharex=share_x,
            sharey=share_y,
            squeeze=False,
            height_ratios=heights,
            width_ratios=widths,
        )
        if title:
            text = figure.suptitle(
                _folded(title, int(width_in * TITLE_PER_IN)), x=0.012, ha="left", weight="bold"
            )
            text.set_linespacing(1.15)
        draw(list(grid.flat))
        figure.savefig(file, format="svg", metadata={"Date": None})
        return _inline(file.getvalue())


def alone(plot: str) -> str:
    """A plot as a file of its own: with a paper under it, whatever page shows it as an image."""
    head, _, body = plot.partition(">")
    return f"{head}>{_PAPER}{body}\n"


def _folded(title: str, width: int) -> str:
    """In as few lines as fit, about as long as each other."""
    lines = wrap(title, width)
    while len(shorter := wrap(title, width - 1)) == len(lines) > 1:
        lines, width = shorter, width - 1
    return "\n".join(lines)


def _inline(text: str) -> str:
    """Make an SVG file into one that a page can hold, by rules 1 to 3."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    head, _, body = text.partition(">")
    box = re.search(r'viewBox="[^"]+"', head)
    assert box is not None
    body = body.replace(INK, "currentColor")
    body = body.replace("'DejaVu Sans'", FONTS)
    body = _COORDINATE.sub(r"\1", body)
    mark = "p" + blake2b(body.encode(), digest_size=4).hexdigest()
    body = re.sub(r'\bid="([^"]+)"', rf'id="{mark}-\1"', body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{mark}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{mark}-\1)", body)
    # a style sheet of matplotlib's own would reach all of the page
    body = body.replace(
        "*{stroke-linejoin: round; stroke-linecap: butt}",
        ".plot *{stroke-linejoin: round; stroke-linecap: butt}",
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'class="plot" {box[0]}>{_ALONE}{body}'
    ).rstrip()
