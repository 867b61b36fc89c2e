"""From what was found to the corpus: an input is kept if it takes a step that no other takes."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING

from .engines import CORPUS, FOUND
from .targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

    from _typeshed import TraceFunction

    Step = tuple[CodeType, int, int]

# Whose steps count. Of JSON's grammar we can only follow Python's own.
LOOKED_AT = ("/framing.py", "/heads.py", "/chunks.py", "/events.py", "/json/")


def keep(target: str) -> int:
    """Copy from build/fuzz/<target>/ what leads further than the corpus does, the shortest first.

    Returns:
        How many were kept.
    """
    run = TARGETS[target]
    steps: set[Step] = set()
    for path in (CORPUS / target).iterdir():
        steps |= steps_of(run, path.read_bytes())
    kept = 0
    for path in sorted((FOUND / target).iterdir(), key=lambda path: path.stat().st_size):
        data = path.read_bytes()
        if not (new := steps_of(run, data)) <= steps:
            steps |= new
            name = hashlib.sha1(data, usedforsecurity=False).hexdigest()
            (CORPUS / target / name).write_bytes(data)
            kept += 1
    return kept


def steps_of(run: Callable[[bytes], None], data: bytes) -> set[Step]:
    """The steps from line to line through which an input leads."""
    steps: set[Step] = set()

    def follow(frame: FrameType, event: str, argument: object) -> TraceFunction | None:
        if not any(name in frame.f_code.co_filename for name in LOOKED_AT):
            return None
        before = frame.f_lineno

        def step(frame: FrameType, event: str, argument: object) -> TraceFunction:
            nonlocal before
            steps.add((frame.f_code, before, frame.f_lineno))
            before = frame.f_lineno
            return step

        return step

    tracer = sys.gettrace()  # coverage may be looking on
    sys.settrace(follow)
    try:
        run(data)
    finally:
        sys.settrace(tracer)
    return steps
