"""Sphinx configuration; `nox -s docs` builds the pages into build/docs, without the network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from trio_stages import __version__ as release  # noqa: E402  (the checkout's)

project = "trio_stages"
author = "the trio_stages authors"
copyright = f"2026, {author}"  # noqa: A001  (Sphinx asks for this name)
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib_trio",
]
exclude_patterns = ["lab/*.md"]  # pieces that lab.md includes
html_theme = "furo"
pygments_style, pygments_dark_style = "tango", "monokai"  # diffs in red and green
html_title = "trio_stages"
html_copy_source = False
html_theme_options = {"light_css_variables": {"code-font-size": "73%"}}  # 100 columns fit

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
# Every reference to a public name of this package must resolve. Those to other projects cannot:
# their inventories would have to come over the network.
nitpick_ignore_regex = [(r"py:.*", r"(?!trio_stages\b).*|.*\._.*")]


def relative_diffs(app: Sphinx, doctree: nodes.document) -> None:
    """Take this machine's paths out of the headers that `literalinclude :diff:` writes."""
    for block in doctree.findall(nodes.literal_block):
        if block.get("language") == "udiff":
            diff = block.astext().replace(f"{ROOT}/", "")
            block.rawsource = diff  # highlighted only where it equals the text
            block.children = [nodes.Text(diff)]


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", relative_diffs)
