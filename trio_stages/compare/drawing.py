"""Just enough SVG for the pictures of the comparison, written by hand.

Rules:

1. Ink is ``currentColor`` and the paper transparent, as in ``report.plots``: a picture takes the
   colours of the page around it, and alone in a file it follows the reader's system.
2. A picture is ``WIDTH`` units wide, about a phone's screen, and its text 10 units high and more,
   so that a phone shows it at its size; a desktop shows it up to ``WIDEST_PX``.
3. Two decimals: the same events give the same bytes.
"""

from __future__ import annotations

from html import escape

WIDTH = 400.0
WIDEST_PX = 640

# Mean width of a character of a sans-serif, in ems: what fits is decided without a font.
EM_A_CHARACTER = 0.56

_STYLE = (
    ".drawn{color:#1b1f24}@media(prefers-color-scheme:dark){.drawn{color:#e4e7ea}}"
    ".drawn text{font-family:system-ui,'Segoe UI',Roboto,'Helvetica Neue','DejaVu Sans',sans-serif;"
    "fill:currentColor}"
)


def width_of(text: str, size: float) -> float:
    """About how wide a text is, in units."""
    return len(text) * size * EM_A_CHARACTER


def shortened(text: str, size: float, room: float) -> str:
    """As much of a text as fits into ``room`` units, with an ellipsis for what does not."""
    if width_of(text, size) <= room:
        return text
    fits = int(room / (size * EM_A_CHARACTER)) - 1
    return text[:fits].rstrip() + "…" if fits > 0 else ""


class Drawing:
    """A picture that grows from above."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 10.5,
        anchor: str = "start",
        bold: bool = False,
        colour: str = "",
        soft: bool = False,
    ) -> None:
        """Write a text; ``anchor`` says which end of its baseline is at the point."""
        looks = ' font-weight="600"' if bold else ""
        looks += f' style="fill:{colour}"' if colour else ""
        looks += ' opacity="0.68"' if soft else ""
        self._parts.append(
            f'<text x="{x:.2f}" y="{y:.2f}" font-size="{size:g}" text-anchor="{anchor}"{looks}>'
            f"{escape(text)}</text>"
        )

    def bar(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        colour: str,
        *,
        opacity: float = 1.0,
        title: str = "",
        radius: float = 2.0,
    ) -> None:
        """Fill a box; ``title`` is what a pointer over it is told."""
        told = f"<title>{escape(title)}</title>" if title else ""
        self._parts.append(
            f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" '
            f'rx="{radius:g}" fill="{colour}" fill-opacity="{opacity:g}">{told}</rect>'
        )

    def line(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        *,
        colour: str = "currentColor",
        width: float = 1.0,
        opacity: float = 1.0,
        dashes: str = "",
    ) -> None:
        """Draw a line."""
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._parts.append(
            f'<line x1="{x1:.2f}" y1="{y1:.2f}" x2="{x2:.2f}" y2="{y2:.2f}" stroke="{colour}" '
            f'stroke-width="{width:g}" stroke-opacity="{opacity:g}"{dashed}/>'
        )

    def polygon(
        self,
        points: list[tuple[float, float]],
        colour: str,
        *,
        opacity: float = 1.0,
        title: str = "",
    ) -> None:
        """Fill a polygon."""
        told = f"<title>{escape(title)}</title>" if title else ""
        at = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
        self._parts.append(
            f'<polygon points="{at}" fill="{colour}" fill-opacity="{opacity:g}">{told}</polygon>'
        )

    def circle(self, x: float, y: float, radius: float, colour: str, *, title: str = "") -> None:
        """Fill a circle."""
        told = f"<title>{escape(title)}</title>" if title else ""
        self._parts.append(
            f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{radius:g}" fill="{colour}">{told}</circle>'
        )

    def svg(self, height: float) -> str:
        """The complete ``<svg>``, with a ``viewBox`` and no size but a greatest width."""
        body = "\n".join(self._parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="drawn" '
            f'viewBox="0 0 {WIDTH:g} {height:.0f}" style="max-width:{WIDEST_PX}px">\n'
            f"<style>{_STYLE}</style>\n{body}\n</svg>"
        )
