"""Who is measured: our stages and the peers, each with the command that starts it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal

from clients.spawn import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .loads import Load

# More than any load has connections, so that none is measured by whom it turns away.
MAX_CONNECTIONS = 2000
CHECKOUT_MARK = "ours@"

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
        directory: where it runs.
    """

    name: str
    title: str
    kind: Kind
    argv: tuple[str, ...]
    packages: tuple[str, ...] = ()
    directory: Path = CHECKOUT

    def stands(self, load: Load) -> bool:
        """Whether the load means something to it: a ceiling cannot tell one request from two."""
        return self.kind != "ceiling" or load.shape == "same"

    @property
    def missing(self) -> list[str]:
        """Packages that are not installed here."""
        return [package for package in self.packages if not _version(package)]


def _module(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def _peer(module: str, *arguments: str) -> tuple[str, ...]:
    return _module(f"clients.bench.peers.{module}", "{port}", *arguments)


def stage(number: int, *options: str) -> Server:
    """One of our stages with its own defaults, but for these options."""
    return Server(
        name=f"stage{number}",
        title=" ".join([f"stage {number}", *options]),
        kind="ours",
        argv=_stage(number, *options),
        packages=OURS,
    )


def named(name: str) -> Server:
    """The server of this name, also one of a checkout that may be gone by now."""
    if name in BY_NAME:
        return BY_NAME[name]
    return of_checkout(CHECKOUT / name.removeprefix(CHECKOUT_MARK))


def of_checkout(directory: Path) -> Server:
    """The same as ``ours``, from another checkout: what did a change buy?"""
    return replace(
        BY_NAME["ours"],
        name=f"{CHECKOUT_MARK}{directory.name}",
        title=f"stage 8, jobs in tasks, of {directory.name}",
        directory=directory,
    )


def _stage(number: int, *options: str) -> tuple[str, ...]:
    limit = f"--max-connections={MAX_CONNECTIONS}"
    return _module(
        "trio_stages", str(number), "--port={port}", "--log-level=warning", limit, *options
    )


def _idle(*options: str) -> tuple[str, ...]:
    """Stage 8 whose jobs take no time of their own."""
    return _stage(8, "--work-ms=0", "--hold-ms=0", *options)


def _uvicorn(app: str, http: str, loop: str) -> tuple[str, ...]:
    options = (f"--http={http}", f"--loop={loop}", "--no-access-log", "--log-level=warning")
    return _module("uvicorn", f"clients.bench.peers.{app}:app", "--port={port}", *options)


def _hypercorn(app: str) -> tuple[str, ...]:
    options = ("--worker-class=trio", "--workers=1", "--log-level=warning")
    return _module(
        "hypercorn", f"clients.bench.peers.{app}:app", "--bind=127.0.0.1:{port}", *options
    )


def _granian(app: str) -> tuple[str, ...]:
    options = ("--workers=1", "--http=1", "--loop=uvloop", "--no-ws", "--log-level=warning")
    target = f"clients.bench.peers.{app}:app"
    return _module("granian", "--interface=asgi", "--port={port}", *options, target)


OURS = ("trio", "h11", "pydantic")
_FAST = ("uvicorn", "httptools", "uvloop")

SERVERS = (
    Server(name="ours", title="stage 8, jobs in tasks", kind="ours",
           argv=_idle("--offload=task"), packages=OURS),
    Server(name="ours-threads", title="stage 8, jobs in threads", kind="ours",
           argv=_idle("--offload=thread"), packages=OURS),
    Server(name="ours-h11", title="stage 8, tasks, h11 reads every head", kind="ours",
           argv=_idle("--offload=task", "--no-fast-path"), packages=OURS),
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
