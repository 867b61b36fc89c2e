"""Reports that people and machines read: one set of parts, in the terminal, as HTML, as Markdown.

* ``tables``: a table of text, for a terminal, a page and a Markdown file
* ``verdicts``: a claim, and what was measured about it
* ``page``: sections of such parts, as one HTML file that needs nothing else, or as Markdown
* ``plots``: SVG by matplotlib (the extra ``report``), imported when the first plot is drawn
* ``machine``: on what all of it was measured
"""

from __future__ import annotations

from .machine import machine
from .page import Code, Figure, Page, Section
from .plots import COLOURS, alone, panels, svg
from .tables import Table
from .verdicts import Verdict

__all__ = [
    "COLOURS",
    "Code",
    "Figure",
    "Page",
    "Section",
    "Table",
    "Verdict",
    "alone",
    "machine",
    "panels",
    "svg",
]
