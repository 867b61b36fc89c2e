"""``python -m clients.bench.sampler FILE MODULE …``: run a module, and note where its time goes.

A profiler that looks: a timer that runs with the process's CPU time interrupts it a thousand times
a second, and what is noted is the line that is running, of the main thread. What C code and the
kernel do is time of the line that called them. Unlike a profiler that hooks every call it costs
small functions no more than large ones. SIGUSR1 starts the timer; at its end the process writes.
"""

from __future__ import annotations

import atexit
import json
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

INTERVAL_S = 0.001


def main(path: Path, module: str) -> None:
    """Run the module as ``__main__``, sampled from SIGUSR1 to the end of the process."""
    lines: Counter[tuple[str, str, int]] = Counter()

    def look(number: int, frame: FrameType | None) -> None:
        if frame is not None:
            lines[frame.f_code.co_filename, frame.f_code.co_qualname, frame.f_lineno or 0] += 1

    def begin(number: int, frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def write() -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        found = [[*line, count] for line, count in lines.most_common()]
        path.write_text(json.dumps(found), "utf-8")

    atexit.register(write)
    signal.signal(signal.SIGPROF, look)
    signal.signal(signal.SIGUSR1, begin)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _, file, name, *arguments = sys.argv
    sys.argv = [name, *arguments]
    main(Path(file), name)
