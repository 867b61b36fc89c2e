"""Who is measured, and how each is started and stopped.

Rules:

1. A server has its own process, a free port, and (where there are two CPUs) a CPU without the load.
2. It counts as started when it has accepted an event, and as ended when its process group has.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal

import trio

from clients.http import ClientError, Connection, NoReply, Target
from clients.spawn import CHECKOUT

from . import pinned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

EVENT = b'{"user":"alice","action":"buy","amount":100}'
START_S, STOP_S, POLL_S = 20.0, 10.0, 0.05
# More than any load has connections, so that none is measured by whom it turns away.
MAX_CONNECTIONS = 2000

Kind = Literal["ours", "framework", "bare", "limit", "ceiling"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One entry of the table.

    Attributes:
        name: on the command line and in ``results.json``.
        title: for people.
        kind: ours; a framework; a bare server; the limit; a ceiling that only pretends.
        argv: its command; ``{port}`` stands for the port.
        packages: distributions whose versions matter.
    """

    name: str
    title: str
    kind: Kind
    argv: tuple[str, ...]
    packages: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Packages that are not installed here."""
        return [package for package in self.packages if not _version(package)]


def _module(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def _peer(module: str, *arguments: str) -> tuple[str, ...]:
    return _module(f"clients.bench.peers.{module}", "{port}", *arguments)


def _stage(*options: str) -> tuple[str, ...]:
    limit = f"--max-connections={MAX_CONNECTIONS}"
    work = ("--work-ms=0", "--hold-ms=0", "--log-level=warning", limit)
    return _module("trio_stages", "8", "--port={port}", *work, *options)


def _uvicorn(app: str, http: str, loop: str) -> tuple[str, ...]:
    options = (f"--http={http}", f"--loop={loop}", "--no-access-log", "--log-level=warning")
    return _module("uvicorn", f"clients.bench.peers.{app}:app", "--port={port}", *options)


def _hypercorn(app: str) -> tuple[str, ...]:
    options = ("--worker-class=trio", "--workers=1", "--log-level=warning")
    return _module(
        "hypercorn", f"clients.bench.peers.{app}:app", "--bind=127.0.0.1:{port}", *options
    )


def _granian(app: str) -> tuple[str, ...]:
    options = ("--workers=1", "--loop=uvloop", "--no-ws", "--log-level=warning")
    target = f"clients.bench.peers.{app}:app"
    return _module("granian", "--interface=asgi", "--port={port}", *options, target)


_FAST = ("uvicorn", "httptools", "uvloop")

SERVERS = (
    Server(name="ours", title="stage 8, jobs in tasks", kind="ours",
           argv=_stage("--offload=task"), packages=("trio", "h11", "pydantic")),
    Server(name="ours-threads", title="stage 8, jobs in threads", kind="ours",
           argv=_stage("--offload=thread"), packages=("trio", "h11", "pydantic")),
    Server(name="ours-h11", title="stage 8, tasks, h11 reads every head", kind="ours",
           argv=_stage("--offload=task", "--no-fast-path"), packages=("trio", "h11", "pydantic")),
    Server(name="naive-trio", title="naive Trio + h11", kind="bare",
           argv=_peer("naive_trio"), packages=("trio", "h11")),
    Server(name="fastapi-h11", title="FastAPI, uvicorn (h11)", kind="framework",
           argv=_uvicorn("fastapi_app", "h11", "asyncio"), packages=("fastapi", "uvicorn", "h11")),
    Server(name="fastapi", title="FastAPI, uvicorn (httptools, uvloop)", kind="framework",
           argv=_uvicorn("fastapi_app", "httptools", "uvloop"), packages=("fastapi", *_FAST)),
    Server(name="starlette-h11", title="Starlette, uvicorn (h11)", kind="framework",
           argv=_uvicorn("starlette_app", "h11", "asyncio"),
           packages=("starlette", "uvicorn", "h11")),
    Server(name="starlette", title="Starlette, uvicorn (httptools, uvloop)", kind="framework",
           argv=_uvicorn("starlette_app", "httptools", "uvloop"), packages=("starlette", *_FAST)),
    Server(name="aiohttp", title="aiohttp", kind="framework",
           argv=_peer("aiohttp_app"), packages=("aiohttp",)),
    Server(name="aiohttp-uvloop", title="aiohttp, uvloop", kind="framework",
           argv=_peer("aiohttp_app", "uvloop"), packages=("aiohttp", "uvloop")),
    Server(name="quart-trio", title="Quart-Trio, Hypercorn (Trio)", kind="framework",
           argv=_hypercorn("quart_trio_app"), packages=("quart-trio", "hypercorn", "trio")),
    Server(name="asgi-hypercorn", title="bare ASGI, Hypercorn (Trio)", kind="bare",
           argv=_hypercorn("asgi_trio"), packages=("hypercorn", "trio")),
    Server(name="asgi-uvicorn", title="bare ASGI, uvicorn (httptools, uvloop)", kind="bare",
           argv=_uvicorn("asgi_asyncio", "httptools", "uvloop"), packages=_FAST),
    Server(name="asgi-granian", title="bare ASGI, granian (uvloop)", kind="bare",
           argv=_granian("asgi_asyncio"), packages=("granian", "uvloop")),
    Server(name="protocol", title="asyncio Protocol + httptools + uvloop", kind="limit",
           argv=_peer("asyncio_protocol"), packages=("httptools", "uvloop")),
    Server(name="trio-echo", title="Trio streams, constant reply", kind="ceiling",
           argv=_peer("trio_echo"), packages=("trio",)),
    Server(name="raw-epoll", title="epoll, constant reply", kind="ceiling",
           argv=_peer("raw_epoll")),
)  # fmt: skip
BY_NAME = {server.name: server for server in SERVERS}


def versions(servers: Sequence[Server]) -> dict[str, str]:
    """The installed versions of all that these servers are made of."""
    packages = sorted({package for server in servers for package in server.packages})
    return {package: found for package in packages if (found := _version(package))}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


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
    server: Server, cpus: frozenset[int] | None = None, environment: dict[str, str] | None = None
) -> AsyncIterator[Running]:
    """Start a server; on leaving, its process group has ended.

    Args:
        server: which.
        cpus: where it may run; None: anywhere.
        environment: variables besides our own.

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
            cwd=CHECKOUT,
            env=os.environ | (environment or {}),
            start_new_session=True,  # a group of its own, that can be ended as a whole
        )
        try:
            url = f"http://127.0.0.1:{port}"
            if problem := await _problem(process, url):
                log.seek(0)
                lines = log.read().decode(errors="replace").split("\n")
                last = next((line for line in reversed(lines) if line.strip()), "")
                raise ClientError(f"{server.name}: {problem}; {last}")
            yield Running(server, process.pid, url)
        finally:
            with trio.CancelScope(shield=True):
                await _stop(process)


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


async def _stop(process: trio.Process) -> None:
    if process.returncode is None:
        process.terminate()
        with trio.move_on_after(STOP_S):
            await process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # whatever is left of its group
    await process.wait()
