"""Running one stage as a process: bind, serve until a signal, say how it ended.

Two lines on stdout, an exit status, and a promise: the process ends in time even if one of its
threads never does. Structured concurrency alone cannot promise that: a nursery waits for its
threads. So a stop also starts a timer in a thread of its own, and if that fires, the ledger is
sealed, so that nothing is applied behind our back, and the process leaves.
"""

from __future__ import annotations

import errno
import gc
import json
import logging
import math
import os
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import trio

from .logs import configure_logging
from .memory import configure_memory
from .options import UsageError
from .signals import stop_on_signals
from .telemetry import Telemetry

if TYPE_CHECKING:
    from .options import Settings

# How long after a stop a thread may still run.
GIVE_UP_S = 2.0
# Between a drain's deadline, when what is left is cancelled and counted, and giving up on threads
# that do not return even then.
DRAIN_MARGIN_S = 0.5
# What the kernel may keep for a client that does not read. Left to itself it takes megabytes, and
# the write timeout begins when these are full. At a distance of 100 ms this lets 1.3 MB/s through.
SEND_BUFFER_BYTES = 131_072

OK, FAILED, USAGE, ABANDONED = range(4)

log = logging.getLogger(__name__)

#: ``serve(listener, telemetry, *, task_status)``, as every stage has it. What it may hand to
#: ``task_status.started`` is a function that stops it gracefully.
Serve = Callable[..., Awaitable[None]]


def run_stage(serve: Serve, settings: Settings) -> int:
    """Serve until a signal.

    Args:
        serve: the stage's.
        settings: the options in force.

    Returns:
        The exit status.

    Raises:
        UsageError: a server was asked for that is not installed.
    """
    configure_logging(settings)
    configure_memory()
    if settings.server == "hypercorn" and find_spec("hypercorn") is None:
        raise UsageError("--server: hypercorn is not installed; pip install 'trio-stages[asgi]'")
    try:
        listener = bind(settings.host, settings.port)
    except OSError as error:
        where = f"{settings.host} port {settings.port}"
        print(f"trio_stages: cannot listen on {where}: {error.strerror}", file=sys.stderr)
        return FAILED
    last_words = _LastWords(Telemetry(settings))
    crashed = False
    try:
        with listener:
            trio.run(_serve, serve, listener, last_words)
    except Exception:
        log.exception("stage %d ended by an error of its own", settings.stage)
        crashed = True
    status = last_words.say()
    return FAILED if crashed else status


def bind(host: str, port: int) -> socket.socket:
    """Return a listening TCP socket.

    Raises:
        OSError: the name is unknown, or the port is taken or not for us.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except UnicodeError:  # no name can be spelt like that
        raise OSError(errno.EINVAL, "not a host name") from None
    # The kernel's own bound: a flood that opens all its connections at once is not to be dropped
    # before we have seen it.
    listening = socket.create_server(address[:2], family=family, backlog=socket.SOMAXCONN)
    # Each connection has it from here.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    return listening


async def _serve(serve: Serve, listening: socket.socket, last_words: _LastWords) -> None:
    telemetry = last_words.telemetry
    host, port = listening.getsockname()[:2]
    if telemetry.settings.server == "hypercorn":
        from .asgi import serve_hypercorn

        start: Serve = partial(serve_hypercorn, serve, listening, telemetry)
    else:
        listening.setblocking(False)
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
        start = partial(serve, listener, telemetry)
    stop_gracefully: Callable[[], None] | None = None
    with trio.CancelScope() as scope:

        def stop() -> None:
            nonlocal stop_gracefully
            gc.disable()  # nothing comes any more: what there is goes without being searched
            if stop_gracefully is None:
                last_words.due_in(GIVE_UP_S)
                scope.cancel()
            else:
                last_words.due_in(telemetry.settings.drain_timeout + DRAIN_MARGIN_S)
                stop_gracefully()
                stop_gracefully = None  # a second signal has no patience left

        with stop_on_signals(stop):
            async with trio.open_nursery() as nursery:
                stop_gracefully = await nursery.start(start)
                where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
                _print(f"stage {telemetry.settings.stage} listening on http://{where}")


class _LastWords:
    """The final line, said once: by the runner, or by the timer that could not wait for it."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.telemetry = telemetry
        self._once = threading.Lock()
        self._timer: threading.Timer | None = None
        self._due_s = math.inf

    def due_in(self, timeout_s: float) -> None:
        """Leave the process in ``timeout_s``, unless all is said, or it was due, before."""
        due_s = time.monotonic() + timeout_s
        if due_s >= self._due_s:
            return
        self._due_s = due_s
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(timeout_s, self._give_up)
        self._timer.daemon = True
        self._timer.start()

    def say(self) -> int:
        """Close the books, print the final line, and return the exit status."""
        self._once.acquire()  # and never release it: whoever comes second has nothing to add
        if self._timer is not None:
            self._timer.cancel()
        ledger = self.telemetry.ledger
        given_up = ledger.seal()
        if given_up:
            log.error("gave up %d accepted jobs that nobody had settled", given_up)
        _print(json.dumps({"final": self.telemetry.final()}))
        return ABANDONED if ledger.statistics().abandoned else OK

    def _give_up(self) -> None:
        status = self.say()
        log.error("gave up a thread that still ran after the stop")
        sys.stdout.flush()
        os._exit(status)


def _print(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:
        # Whoever started us has stopped reading; the books are balanced all the same. Python would
        # complain once more on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
