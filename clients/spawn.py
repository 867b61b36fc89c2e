"""A server of one's own: started on a free port, stopped by its pid whatever happens.

Rules:

1. Nobody leaves `spawned` before the process has ended, cancelled or not.
2. The server's two lines on stdout are its interface; its log is not read.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from .http import ClientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

CHECKOUT = Path(__file__).parent.parent  # where `python -m trio_stages` is sure to be found
# What is run, unless somebody has reasons to run a stage in another way.
LAUNCHER = (sys.executable, "-m", "trio_stages")
START_S = 15.0
# Longer than the drain timeout of the last stage (10 s) and the 2 s of a thread that is given up.
STOP_S = 15.0


class Server:
    """A running stage.

    Attributes:
        url: where it listens.
        final: after ``stop``, the object of its last line; None if it wrote none.
        exit_status: after ``stop``; negative for a signal that killed it.
    """

    def __init__(self, process: trio.Process) -> None:
        assert process.stdout is not None
        self._process = process
        self._stdout = process.stdout
        self._output = b""
        self.url = ""
        self.final: dict[str, Any] | None = None
        self.exit_status: int | None = None

    @property
    def pid(self) -> int:
        """Of the server's process."""
        return self._process.pid

    @property
    def resident_bytes(self) -> int:
        """Physical memory that it holds (read in /proc: Linux)."""
        pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * resource.getpagesize()

    @property
    def open_files(self) -> int:
        """Its file descriptors (read in /proc: Linux)."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def limit_files(self, limit: int) -> None:
        """Let it have so many descriptors from now on; those that it has stay (Linux)."""
        _, most = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (limit, most))

    async def _started(self) -> None:
        with trio.move_on_after(START_S):
            while await self._read() and b"\n" not in self._output:
                pass
        line, newline, _ = self._output.partition(b"\n")
        if not newline:
            raise ClientError("the server did not start; --verbose shows its log")
        self.url = line.decode().rpartition(" ")[2]

    async def _read(self) -> bool:
        data = await self._stdout.receive_some()
        self._output += data
        return bool(data)

    async def stop(self) -> None:
        """Send SIGTERM, take the last line, wait for the end; kill a server that will not end."""
        self._process.terminate()
        with trio.move_on_after(STOP_S):
            while await self._read():
                pass
            await self._process.wait()
        if self._process.returncode is None:
            self._process.kill()
        self.exit_status = await self._process.wait()
        await self._stdout.aclose()
        try:
            self.final = json.loads(self._output.splitlines()[-1])["final"]
        except (IndexError, KeyError, TypeError, ValueError):
            self.final = None


def allow_files(files: int) -> None:
    """Let this process, and the servers that it starts from now on, have so many descriptors.

    Raises:
        ClientError: it may not have them.
    """
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or files <= limit:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    except ValueError:
        raise ClientError(f"{files} open files are wanted, {most} allowed: ulimit -Hn") from None


@asynccontextmanager
async def spawned(
    stage: int,
    options: Sequence[str] = (),
    *,
    verbose: bool = False,
    launcher: Sequence[str] = LAUNCHER,
) -> AsyncIterator[Server]:
    """Run ``python -m trio_stages STAGE --port 0``; on leaving, it has ended.

    Args:
        stage: its number.
        options: further arguments of the server.
        verbose: let its log through to stderr.
        launcher: the command that takes the number and the options.

    Raises:
        ClientError: it did not say where it listens.
    """
    command = [*launcher, str(stage), "--port", "0", *options]
    process = await trio.lowlevel.open_process(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=None if verbose else subprocess.DEVNULL,
        cwd=CHECKOUT,
        start_new_session=True,  # Ctrl-C is for the client, which then stops the server
    )
    server = Server(process)
    try:
        await server._started()
        yield server
    finally:
        with trio.CancelScope(shield=True):
            if server.exit_status is None:
                await server.stop()
