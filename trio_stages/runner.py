"""Running one stage as a process: bind, serve until a signal, say how it ended.

Two lines on stdout, an exit status, and a promise: the process ends in time even if one of its
threads never does. Structured concurrency alone cannot promise that: a nursery waits for its
threads. So the first stop starts one more, which is told of each stop; and if the process has not
ended in time, it seals the ledger, so that nothing is applied behind our back, and leaves.
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
from _thread import start_new_thread
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import trio

from .logs import configure_logging
from .memory import configure_memory
from .options import UsageError
from .signals import GRACEFULLY, stop_on_signals
from .telemetry import Telemetry

if TYPE_CHECKING:
    from .options import Settings

# How long after a stop a thread may still run.
GIVE_UP_S = 2.0
# Between a drain's deadline, when what is left is cancelled and counted, and giving up on threads
# that do not return even then.
DRAIN_MARGIN_S = 0.5
# Added to these when the loop itself is stuck, for instance in writing to a log that nobody reads;
# and how long the last words may be stuck in turn.
STUCK_S = 1.0
# What the kernel may keep (Linux: twice that) for a client that does not read. Left to itself it
# takes megabytes, and the write timeout begins when these are full. At a distance of 100 ms this
# lets 1.3 MB/s through.
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
    listening = socket.create_server(address, family=family, backlog=socket.SOMAXCONN)
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
    signals = 0
    with trio.CancelScope() as scope:

        def stop() -> object:
            nonlocal stop_gracefully
            gc.disable()  # nothing comes any more: what there is goes without being searched
            begin, stop_gracefully = stop_gracefully, None  # a second signal has no patience left
            if begin is None:
                last_words.due_in(GIVE_UP_S)
                scope.cancel()
                return None
            last_words.due_in(telemetry.settings.drain_timeout + DRAIN_MARGIN_S)
            begin()
            return GRACEFULLY

        def received() -> None:
            nonlocal signals
            signals += 1
            is_graceful = signals == 1 and stop_gracefully is not None
            drain_s = telemetry.settings.drain_timeout if is_graceful else 0.0
            last_words.due_in(drain_s + GIVE_UP_S + STUCK_S)

        with stop_on_signals(stop, received):
            async with trio.open_nursery() as nursery:
                stop_gracefully = await nursery.start(start)
                where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
                _print(f"stage {telemetry.settings.stage} listening on http://{where}")


class _LastWords:
    """The final line, said once: by the runner, or by a thread that could not wait for it."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.telemetry = telemetry
        self._once = threading.Lock()
        # When to leave; it may be told from a signal's handler, in the middle of telling it.
        self._dues_s: SimpleQueue[float | None] = SimpleQueue()
        self._is_watched = False
        self._is_over = threading.Event()

    def due_in(self, timeout_s: float) -> None:
        """Leave the process in ``timeout_s``, unless all is said, or it was due, before.

        May be called by a signal's handler.
        """
        self._dues_s.put(time.monotonic() + timeout_s)
        if not self._is_watched:
            self._is_watched = True
            # ``threading`` has a lock around this, and the handler may have interrupted its holder.
            with suppress(RuntimeError):  # no thread left: then the stop has to come to its end
                start_new_thread(self._watch, ())

    def call_off(self) -> None:
        """It need not leave any more; if it is just about to, wait for that."""
        self._dues_s.put(None)
        if self._is_watched:
            self._is_over.wait()

    def _watch(self) -> None:
        try:
            self._leave_when_due()
        finally:
            self._is_over.set()

    def _leave_when_due(self) -> None:
        due_s = math.inf
        while True:
            try:
                left_s = max(0.0, due_s - time.monotonic()) if due_s < math.inf else None
                told_s = self._dues_s.get(timeout=left_s)
            except Empty:
                self._give_up()
                return
            if told_s is None:
                return
            due_s = min(due_s, told_s)

    def say(self) -> int:
        """Close the books, print the final line, and return the exit status."""
        self._once.acquire()  # and never release it: whoever comes second has nothing to add
        ledger = self.telemetry.ledger
        given_up = ledger.seal()
        _print(json.dumps({"final": self.telemetry.final()}))
        if given_up:
            _complain(f"gave up {given_up} accepted jobs that nobody had settled")
        self._dues_s.put(None)  # now, for nobody may read what has just been printed
        return ABANDONED if ledger.statistics().abandoned else OK

    def _give_up(self) -> None:
        status, said = FAILED, threading.Event()

        def leave_unsaid() -> None:
            if not said.wait(STUCK_S):
                os._exit(FAILED)

        try:
            with suppress(RuntimeError):  # no thread left
                threading.Thread(target=leave_unsaid, daemon=True).start()
            status = self.say()
            _complain("gave up a thread that still ran after the stop")
        finally:
            said.set()
            os._exit(status)


def _complain(text: str) -> None:
    """Log an error, but do not wait for a log that is stuck."""

    def complain() -> None:
        log.error(text)

    with suppress(RuntimeError):  # no thread left
        thread = threading.Thread(target=complain, daemon=True)
        thread.start()
        thread.join(STUCK_S / 2)


def _print(line: str) -> None:
    if sys.stdout is not None:  # else closed by whoever started us
        try:
            print(line, flush=True)
        except OSError:  # full, or its reader has gone; the books are balanced all the same
            # What is in its buffer is not to fail once more when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.stdout = None
        else:
            return
    log.warning("stdout takes nothing; it would say: %s", line)
