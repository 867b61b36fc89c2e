"""One cell, seen from inside its process: a server in the main thread, a script in another.

The script is a client of blocking sockets and the hand that sends signals. It is the same for all
columns, and knows nothing of their event loops.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import traceback
from typing import TYPE_CHECKING, Any

from .core import Core, Options
from .recorder import PATIENCE_S
from .results import MARK

if TYPE_CHECKING:
    from collections.abc import Callable

    from .recorder import Recorder
    from .results import Metric


# How often a client that waits for a reply looks up whether the server is still there.
LOOK_UP_S = 0.1


class Broken(Exception):
    """The scenario itself failed: what its script relies on did not come."""


class Client:
    """What a script has in hand."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.recorder: Recorder = core.recorder
        self.sockets: list[socket.socket] = []
        self.ended = False

    def listening(self) -> bool:
        """Whether the server has said so."""
        return self.recorder.count(MARK, "server", "listening") > 0

    def connect(self) -> socket.socket:
        """A connection to the server, which will be closed at the end of the trial."""
        sock = socket.create_connection(("127.0.0.1", self.core.port), timeout=PATIENCE_S)
        self.sockets.append(sock)
        return sock

    def connect_and_greet(self) -> socket.socket:
        """A connection that has been answered once, so that the server surely has its task."""
        sock = self.connect()
        self.greet(sock)
        return sock

    def greet(self, sock: socket.socket) -> None:
        """Make the server answer on a connection.

        Raises:
            Broken: it does not.
        """
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        if not self.receive(sock).startswith(b"HTTP/1.1 200 "):
            raise Broken("the server does not answer")

    def post(self, name: str, sock: socket.socket | None = None) -> int:
        """Send a job; return the status of the reply, 0 where none came.

        Args:
            name: of the job.
            sock: a connection that stays open; by default one for this request alone.
        """
        try:
            if sock is None:
                with self.connect() as sock:
                    return self.post(name, sock)
            sock.sendall(request(name))
            reply = self.receive(sock)
        except OSError:
            return 0
        return int(reply[9:12]) if reply else 0

    def receive(self, sock: socket.socket) -> bytes:
        """What comes next; nothing, once the server has ended without closing the connection.

        Raises:
            OSError: the connection has been reset, or nothing came for a long time.
        """
        for _ in range(round(PATIENCE_S / LOOK_UP_S)):
            ended = self.ended  # asked first: what it sent before it ended has come by now
            if select.select([sock], [], [], LOOK_UP_S)[0]:
                return sock.recv(65_536)
            if ended:
                self.recorder.mark("client", "left without an answer")
                return b""
        raise TimeoutError

    def stop(self) -> None:
        """SIGTERM."""
        os.kill(os.getpid(), signal.SIGTERM)

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.kill(os.getpid(), signal.SIGINT)

    def server_ends(self, at_most_s: float = 1.0) -> bool:
        """Give the server time to end by itself; return whether it has."""
        return self.recorder.wait_until(lambda: self.ended, at_most_s)

    def until(self, kind: str, lane: str, label: str | None = None, *, times: int = 1) -> None:
        """Wait for something that must come.

        Raises:
            Broken: it did not.
        """
        recorder = self.recorder

        def come() -> bool:
            return recorder.count(kind, lane, label) >= times

        recorder.wait_until(lambda: come() or self.ended)
        if not come():
            raise Broken(f"waited in vain for {kind} {lane} {label or ''}")


def request(name: str) -> bytes:
    """The bytes of a POST; the user's name is the job's."""
    body = b'{"user":"%b","action":"buy","amount":1}' % name.encode()
    return b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Trial:
    """One cell.

    Attributes:
        column: its name.
        code: the scenario's module for the column, or the column's shell.
        shell: the column's shell.
        core: of the server, to be configured before it is served.
        metrics: what has been observed so far; a HANG reports these.
        failure: what went wrong with the scenario itself; "" if nothing did.
    """

    def __init__(self, column: str, code: Any, shell: Any) -> None:
        self.column = column
        self.code = code
        self.shell = shell
        self.core = Core()
        self.metrics: dict[str, Metric] = {}
        self.failure = ""

    def configure(self, **options: Any) -> Core:
        """Say how the server is to be; return its core."""
        self.core.options = Options(**options)
        return self.core

    def serve(self, script: Callable[[Client], None], *, close: bool = True, **parts: Any) -> None:
        """Run the column's server in this thread and the script beside it, until both have ended.

        Args:
            script: begins when the server listens.
            close: the client's sockets at the end.
            parts: functions in the place of the shell's own, such as ``process``.
        """
        self.run(lambda: self.shell.main(self.core, **parts), script, close=close)

    def run(
        self,
        main: Callable[[], None],
        script: Callable[[Client], None],
        *,
        required: bool = True,
        close: bool = True,
    ) -> None:
        """The same for another main function.

        Args:
            main: blocks until the server has ended.
            script: begins when the server listens.
            required: whether a server that ends before it listens is the scenario's failure.
            close: the client's sockets at the end.
        """
        client = Client(self.core)

        def run_script() -> None:
            self.core.recorder.wait_until(lambda: client.ended or client.listening())
            if not client.listening() and not required:
                return
            try:
                client.until(MARK, "server", "listening")
                script(client)
            except Exception:
                self.failure = traceback.format_exc()
                if not client.ended:
                    client.stop()

        beside = threading.Thread(target=run_script, name="script", daemon=True)
        beside.start()
        try:
            main()
        except BaseException as error:
            self.metrics["ended_by"] = names(error)
            self.metrics["raised"] = ", ".join(sorted(set(leaves(error))))
            interrupted = isinstance(error, KeyboardInterrupt)
            self.metrics["exit_status"] = 130 if interrupted else 1
        else:
            self.metrics["ended_by"] = "return"
            self.metrics["raised"] = "nothing"
            self.metrics["exit_status"] = 0
        self.metrics["threads_behind"] = self.core.recorder.open("thread")
        client.ended = True
        self.core.recorder.mark("server", "main has ended")
        beside.join(PATIENCE_S)
        self.wait_for_threads()
        for sock in client.sockets if close else ():
            sock.close()

    def wait_for_threads(self) -> None:
        """Let the jobs in threads end, orphans too: what they do is part of the observation."""
        recorder = self.core.recorder
        if not recorder.wait_until(lambda: recorder.open("thread") == 0):
            self.metrics["threads_stuck"] = recorder.open("thread")


def names(error: BaseException) -> str:
    """The type of an error; of a group also those inside: ``ExceptionGroup(Poison)``."""
    if isinstance(error, BaseExceptionGroup):
        return f"{type(error).__name__}({', '.join(names(e) for e in error.exceptions)})"
    return type(error).__name__


def leaves(error: BaseException) -> list[str]:
    """The types of the errors in a group, or of the one error."""
    if isinstance(error, BaseExceptionGroup):
        return [name for inner in error.exceptions for name in leaves(inner)]
    return [type(error).__name__]
