"""From ``results.json`` to what people read: ``index.html``, ``report.md`` and its SVG files.

Nothing here measures, so an old run can be rendered again by a newer renderer, and a picture can be
improved without another quarter of an hour of load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.report import alone

from .pages import names, page

if TYPE_CHECKING:
    from pathlib import Path

    from .results import LabResults

PLOTS = "plots"


def render(results: LabResults, folder: Path) -> Path:
    """Write the report of a run.

    Args:
        results: what was measured.
        folder: made if it is not there; plots of an earlier report in it are removed.

    Returns:
        The page to open: ``index.html``; ``report.md`` and the folder ``plots`` stand beside it.

    Raises:
        OSError: the folder cannot be written.
    """
    plots = folder / PLOTS
    plots.mkdir(parents=True, exist_ok=True)
    for old in plots.glob("*.svg"):
        old.unlink()
    report = page(results)
    files = names(results)
    for name, figure in zip(files, report.figures, strict=False):  # none without matplotlib
        (plots / name).write_text(alone(figure.svg), encoding="utf-8")
    markdown = report.markdown(lambda index: f"{PLOTS}/{files[index]}")
    (folder / "report.md").write_text(markdown, encoding="utf-8")
    index = folder / "index.html"
    index.write_text(report.html(), encoding="utf-8")
    return index
