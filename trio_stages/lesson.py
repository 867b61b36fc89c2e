"""``diff N M``: the lesson between two stages, as a unified diff of their files."""

from __future__ import annotations

from difflib import unified_diff
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .ladder import Stage


def lesson(before: Stage, after: Stage) -> str:
    """Return the unified diff from one stage's file to the other's."""
    lines = unified_diff(
        before.file.read_text(encoding="utf-8").splitlines(),
        after.file.read_text(encoding="utf-8").splitlines(),
        fromfile=before.file.name,
        tofile=after.file.name,
        lineterm="",
    )
    return "\n".join(lines)
