"""``python -m trio_stages.compare.cell PACKAGE COLUMN LIMIT_S``: one cell, in its own process.

PACKAGE is a scenario's, such as ``s03_timeout_under_lock``.
One line of JSON on stdout, whatever happens: after the scenario, or at its limit. What remains then
(threads, tasks, a loop that spins) ends with the process and not before.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import traceback
from dataclasses import asdict
from importlib import import_module
from typing import Any

from .metrics import measure
from .results import BROKEN, ENDED, HANG
from .scenarios import load
from .trial import Trial


def main(arguments: list[str]) -> None:
    """Run the cell and leave the process."""
    # A shell that runs us in the background has us ignore Ctrl-C, and Python leaves it at that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    scenario = load(arguments[0])
    column, limit_s = arguments[1], float(arguments[2])
    shell = import_module(f"trio_stages.compare.shells.{column}")
    trial = Trial(column, scenario.column_module(column), shell)
    once = threading.Lock()

    def leave(outcome: str, failure: str = "") -> None:
        if not once.acquire(blocking=False):
            threading.Event().wait()  # the other one is just leaving
        report: dict[str, Any] = {
            "outcome": outcome,
            "metrics": measure(trial.core) | trial.metrics,
            "events": [asdict(event) for event in trial.core.recorder.events()],
            "failure": failure,
        }
        print(json.dumps(report), flush=True)
        os._exit(0)

    def give_up() -> None:
        if "ended_by" in trial.metrics:
            leave(BROKEN, "the server has ended; the scenario's script has not")
        leave(HANG)

    watchdog = threading.Timer(limit_s, give_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        trial.metrics.update(scenario.run(trial) or {})
    except BaseException:
        leave(BROKEN, traceback.format_exc())
    gc.collect()  # what was dropped unawaited or unclosed complains now, on stderr
    leave(BROKEN if trial.failure else ENDED, trial.failure)


if __name__ == "__main__":
    main(sys.argv[1:])
