"""``python -m clients.lab.host N``: a stage as ``trio_stages N`` runs it, and a recording of it.

The stage, its options, its two lines and its exit status are the same; only the ledger and the
meter of the locks are those of ``recording.py``, which costs a microsecond or two for each job.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from trio_stages.ladder import STAGES
from trio_stages.options import parse_settings
from trio_stages.runner import run_stage

from .recording import Recorder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import trio

    from trio_stages.server import Listener
    from trio_stages.telemetry import Telemetry


async def serve(
    stage: Callable[..., Awaitable[None]],
    recorder: Recorder,
    listener: Listener,
    telemetry: Telemetry,
    *,
    task_status: trio.TaskStatus[object],
) -> None:
    """Serve a stage whose telemetry has been given the recorder's instruments."""
    recorder.attach(telemetry)
    await stage(listener, telemetry, task_status=task_status)


def main(arguments: list[str] | None = None) -> int:
    """Run the stage until a signal; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m clients.lab.host", description=__doc__)
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the recording there")
    parser.add_argument(
        "--switch-interval-ms",
        type=float,
        metavar="MS",
        help="how long a thread may keep the GIL while others want it (Python's default: 5)",
    )
    parser.add_argument("stage", type=int, choices=STAGES, metavar="N")
    options, of_stage = parser.parse_known_args(arguments)
    if options.switch_interval_ms is not None:
        sys.setswitchinterval(options.switch_interval_ms / 1000)
    module = STAGES[options.stage].load()
    settings = parse_settings(options.stage, module.DEFAULTS, of_stage, os.environ)
    recorder = Recorder(time.perf_counter, threading.get_ident)
    status = run_stage(partial(serve, module.serve, recorder), settings)
    if options.record is not None:
        recorder.finish().write(options.record)
    return status


if __name__ == "__main__":
    sys.exit(main())
