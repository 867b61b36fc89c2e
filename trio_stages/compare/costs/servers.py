"""The columns' own servers under load: requests a second, and events a second, processed.

Rules:

1. The client is another process, and the same one for all columns.
2. Events are counted when they have changed the balance, not when they were answered: a server that
   refuses quickly is not a fast one. So the queue holds all of them, and the clock stops when it is
   empty.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from trio_stages.compare.core import Core, Options
from trio_stages.compare.recorder import Recorder
from trio_stages.compare.results import MARK

from .load import WARM_UP

if TYPE_CHECKING:
    from .clock import Clock, Facts

CONNECTIONS = 50
LIMIT_S = 40.0


class Silent(Recorder):
    """Writes nothing down but that the server listens: the record is no part of a server's work."""

    def __init__(self) -> None:
        super().__init__()
        self.listening = threading.Event()

    def event(self, kind: str, lane: str, label: str = "", *, at_s: float | None = None) -> None:
        """Keep nothing."""
        if (kind, lane, label) == (MARK, "server", "listening"):
            self.listening.set()


def serve(column: str, kind: str, count: int, clock: Clock) -> Facts:
    """Run a column's server, load it with ``count`` requests, stop it gracefully.

    Args:
        column: whose server.
        kind: ``requests`` (``GET /health``) or ``events`` (``POST``, and each one processed).
        count: how many are timed; ``load.WARM_UP`` more go before.
        clock: is set.
    """
    recorder = Silent()
    options = Options(workers=2, capacity=count + WARM_UP, drain_s=LIMIT_S)
    core = Core(options=options, recorder=recorder)
    found: dict[str, Any] = {}

    def script() -> None:
        recorder.listening.wait(LIMIT_S)
        words = [str(core.port), str(CONNECTIONS), str(count), kind]
        found["began_cpu_s"] = time.process_time()
        done = subprocess.run(
            [sys.executable, "-m", f"{__package__}.load", *words],
            stdout=subprocess.PIPE,
            check=False,
            timeout=LIMIT_S,
        )
        found["ended_cpu_s"] = time.process_time()
        if done.returncode == 0:
            found.update(json.loads(done.stdout))
        os.kill(os.getpid(), signal.SIGTERM)

    beside = threading.Thread(target=script, daemon=True)
    beside.start()
    import_module(f"trio_stages.compare.shells.{column}").main(core)
    drained_s, drained_cpu_s = time.perf_counter(), time.process_time()
    beside.join()
    if "began_s" not in found:
        raise SystemExit(f"the load on {column} failed")
    if kind == "requests":
        clock.wall_s = found["ended_s"] - found["began_s"]
        clock.cpu_s = found["ended_cpu_s"] - found["began_cpu_s"]
        return {}
    clock.wall_s = drained_s - found["began_s"]
    clock.cpu_s = drained_cpu_s - found["began_cpu_s"]
    return {"events left": len(core.accepted) - core.store.applied.total()}
