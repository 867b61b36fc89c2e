"""Send a load at a running server, and say what it did with it and what that cost."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import trio

from clients.http import ClientError
from clients.spawn import CHECKOUT

from . import pinned, process

if TYPE_CHECKING:
    from .loads import Load
    from .running import Running

Tool = Literal["wrk", "own"]
SCRIPT = Path(__file__).with_name("load.lua")
# How much longer than it was told to a generator may take before it is given up.
LATE_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One load on one server, once.

    Attributes:
        server: its name.
        load: the load's name.
        round: from 0 up; samples of one round stand side by side in time.
        accepted: replies with a 2xx.
        accepted_per_s: of these.
        refused: other replies: of a valid event that is 503.
        errors: connections that were refused, broken or timed out.
        p50_ms: latency of all replies; None where it cannot be told.
        p99_ms: the same.
        cpu_us: CPU time of the server for each accepted request; None if none was.
        resident_mb: physical memory of the server, with its children, right afterwards.
    """

    server: str
    load: str
    round: int
    accepted: int
    accepted_per_s: float
    refused: int
    errors: int
    p50_ms: float | None
    p99_ms: float | None
    cpu_us: float | None
    resident_mb: float

    @property
    def share_accepted(self) -> float | None:
        """Accepted ÷ all replies; None if there were none."""
        replies = self.accepted + self.refused
        return self.accepted / replies if replies else None


def available() -> Tool:
    """wrk if it is installed, else our own."""
    return "wrk" if shutil.which("wrk") else "own"


def command(tool: Tool, load: Load, url: str, seconds: float, users: int = 1) -> list[str]:
    """The generator's command line."""
    if tool == "wrk":
        return [
            *("wrk", "--threads=1", f"--connections={load.connections}"),
            # wrk takes whole seconds only.
            *(f"--duration={max(1, round(seconds))}s", "--timeout=10s", f"--script={SCRIPT}"),
            *(url, "--", load.shape, str(users)),
        ]
    where = urlsplit(url)
    return [
        *(sys.executable, "-m", "clients.bench.generator"),
        *(str(where.hostname), str(where.port), load.shape),
        *(f"--connections={load.connections}", f"--seconds={seconds}", f"--users={users}"),
    ]


async def send(
    tool: Tool,
    load: Load,
    url: str,
    seconds: float,
    cpus: frozenset[int] | None = None,
    users: int = 1,
) -> dict[str, Any]:
    """Run a generator; return the object that it printed.

    Raises:
        ClientError: it failed, or did not end.
    """
    argv = pinned.command(cpus, command(tool, load, url, seconds, users))
    with trio.move_on_after(seconds + LATE_S):
        done = await trio.run_process(
            argv, capture_stdout=True, capture_stderr=True, check=False, cwd=CHECKOUT
        )
        found = parse(done.stdout.decode())
        if found is None:
            last = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
            raise ClientError(f"{tool}: {last[-1] if last else 'no result'}")
        return found
    raise ClientError(f"{tool} did not end {LATE_S:g} s after its time")


def parse(output: str) -> dict[str, Any] | None:
    """The JSON object among what a generator printed; wrk has a summary of its own before it."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    return None


async def measure(
    tool: Tool,
    load: Load,
    running: Running,
    seconds: float,
    number: int,
    cpus: frozenset[int] | None = None,
) -> Sample:
    """Take one sample.

    Args:
        tool: that sends.
        load: what.
        running: the server.
        seconds: for how long.
        number: of the round.
        cpus: of the generator; None: any.

    Raises:
        ClientError: the generator failed.
    """
    pids = process.family(running.pid)
    before_s = process.cpu_s(pids)
    found = await send(tool, load, running.url, seconds, cpus)
    used_s = process.cpu_s(pids) - before_s
    accepted = found["replies"] - found["refused"]
    return Sample(
        server=running.server.name,
        load=load.name,
        round=number,
        accepted=accepted,
        accepted_per_s=accepted / found["duration_s"],
        refused=found["refused"],
        errors=found["errors"],
        p50_ms=found["p50_ms"] or None,
        p99_ms=found["p99_ms"] or None,
        cpu_us=used_s / accepted * 1e6 if accepted else None,
        resident_mb=process.resident_bytes(pids) / 1e6,
    )


async def describe(tool: Tool) -> str:
    """The generator's name and version."""
    if tool == "own":
        return "clients.bench.generator"
    done = await trio.run_process(
        ["wrk", "--version"], capture_stdout=True, capture_stderr=True, check=False
    )
    words = (done.stdout + done.stderr).decode(errors="replace").split()
    return " ".join(words[:2])
