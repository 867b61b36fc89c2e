"""Where results go: ``results.json``, a page as HTML and as Markdown with its plots beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clients import command

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from trio_stages.report.page import Page
    from trio_stages.report.verdicts import Verdict

BUILD = Path("build/bench")
WIDTH_OF_A_FILE = 140  # columns, where stdout is no terminal that could tell


def add_out(parser: argparse.ArgumentParser, name: str) -> None:
    """Add ``--out``."""
    parser.add_argument(
        "--out",
        type=Path,
        default=BUILD / name,
        metavar="DIRECTORY",
        help="for results.json and the page (default: %(default)s)",
    )


def add_from(parser: argparse.ArgumentParser) -> None:
    """Add ``--from``."""
    parser.add_argument(
        "--from",
        dest="earlier",
        nargs="+",
        action="extend",
        type=Path,
        metavar="FILE",
        help="measure nothing; report the results.json of earlier runs as one",
    )


def print_verdicts(verdicts: Iterable[Verdict]) -> None:
    """Print each claim and what became of it."""
    for verdict in verdicts:
        print(f"{verdict.claim}\n  {verdict.text()}")


def write(directory: Path, results: Any, page: Callable[[bool], Page]) -> None:
    """Write results and page.

    Args:
        directory: is made if it is not there.
        results: for JSON.
        page: makes it, with plots or without.
    """
    directory.mkdir(parents=True, exist_ok=True)
    command.write_json(directory / "results.json", results)
    try:
        made = page(True)
    except ModuleNotFoundError as error:
        print(f"no plots: {error}", file=sys.stderr)
        made = page(False)
    (directory / "index.html").write_text(made.html(), "utf-8")
    for number, figure in enumerate(made.figures):
        (directory / f"figure{number}.svg").write_text(figure.svg + "\n", "utf-8")
    text = made.markdown(lambda number: f"figure{number}.svg")
    (directory / "index.md").write_text(text, "utf-8")
    print(f"{directory}/index.html, index.md and results.json are written", file=sys.stderr)
