"""A server in a process of its own.

Rules:

1. It has a free port, and (where there are two CPUs) a CPU without the load.
2. It counts as started when it has accepted an event, and as ended when its process group has.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import tempfile
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from clients.http import ClientError, Connection, NoReply, Target

from . import pinned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .servers import Server

EVENT = b'{"user":"alice","action":"buy","amount":100}'
START_S, STOP_S, POLL_S = 20.0, 10.0, 0.05


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers.

    Attributes:
        server: which.
        pid: of the process that was started; a server may have children.
        url: where it listens.
    """

    server: Server
    pid: int
    url: str


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@asynccontextmanager
async def running(
    server: Server,
    cpus: frozenset[int] | None = None,
    environment: dict[str, str] | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> AsyncIterator[Running]:
    """Start a server; on leaving, its process group has ended.

    Args:
        server: which.
        cpus: where it may run; None: anywhere.
        environment: variables besides our own.
        stop_signal: what asks it to end.

    Raises:
        ClientError: it does not accept an event.
    """
    port = free_port()
    argv = pinned.command(cpus, [part.format(port=port) for part in server.argv])
    with tempfile.TemporaryFile() as log:
        process = await trio.lowlevel.open_process(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd=server.directory,
            env=os.environ | (environment or {}),
            start_new_session=True,  # a group of its own, that can be ended as a whole
        )
        try:
            url = f"http://127.0.0.1:{port}"
            if problem := await _problem(process, url):
                log.seek(0)
                lines = log.read().decode(errors="replace").split("\n")
                last = next((line for line in reversed(lines) if re.search(r"\w", line)), "")
                raise ClientError(f"{server.name}: {problem}; {last}")
            yield Running(server, process.pid, url)
        finally:
            with trio.CancelScope(shield=True):
                await _stop(process, stop_signal)


async def _problem(process: trio.Process, url: str) -> str:
    """Wait until an event is accepted; return what keeps it from that, if anything does."""
    target = await Target.locate(url)
    with trio.move_on_after(START_S):
        while process.returncode is None:
            with Connection(target) as connection:
                try:
                    reply = await connection.request(target.request("POST", "/", EVENT))
                except NoReply:
                    await trio.sleep(POLL_S)
                    continue
            return "" if reply.status == 202 else f"it answers {reply.status} to an event"
        return f"it ended with status {process.returncode}"
    return f"it does not answer within {START_S:g} s"


async def _stop(process: trio.Process, stop_signal: signal.Signals) -> None:
    if process.returncode is None:
        process.send_signal(stop_signal)
        with trio.move_on_after(STOP_S):
            await process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # whatever is left of its group
    await process.wait()
