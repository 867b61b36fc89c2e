"""``python -m clients.bench profile [SERVER …]``: where the microseconds of a request go.

Each server runs twice under the same load: as it is, for its CPU time for a request, and under
``sampler``, for how this time is shared out. Without names: the naive Trio server, stage 8 where
h11 reads every head, and stage 8.
"""

from __future__ import annotations

import dataclasses
import json
import linecache
import os
import re
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from clients import command
from clients.http import ClientError
from trio_stages.report.machine import machine
from trio_stages.report.page import Page, Section
from trio_stages.report.tables import Table

from . import generate, loads, pages, pinned, servers
from .running import running

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    from .loads import Load
    from .servers import Server

DEFAULT = ("naive-trio", "ours-h11", "ours")
SECONDS = 4.0
TOP = 15
# The line that makes a call of the kernel, or of pydantic, stands for the call.
KERNEL = re.compile(
    r"(sock|socket|epoll|selector)\.(recv|send|accept|poll|close|shutdown|register)\("
    r"|\bfn\(self\._sock"  # trio/_socket.py
)
PYDANTIC = re.compile(r"model_validate_json|_validate\(|from_json|Event\(")
PACKAGE = re.compile(
    r"(?:site-packages|dist-packages)/([^/.]+)|/(trio_stages/.*|clients/bench/.*)$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One server's time.

    Attributes:
        server: its name.
        cpu_us: of a request, without the sampler.
        parts_us: of these, by part: the kernel, a package, a module of ours.
        functions_us: by function, the dearest first.
    """

    server: str
    cpu_us: float
    parts_us: dict[str, float]
    functions_us: dict[str, float]


def part(file: str, line: str) -> str:
    """Whose time a line is.

    Args:
        file: its path.
        line: its text.
    """
    if KERNEL.search(line):
        return "the kernel: sockets and epoll"
    if PYDANTIC.search(line):
        return "pydantic"
    found = PACKAGE.search(file)
    if found is None:
        return "Python's library"
    return found[1] or found[2]


def shared_out(
    cpu_us: float, lines: Iterable[tuple[str, str, int, int]]
) -> tuple[dict[str, float], dict[str, float]]:
    """Share the time of a request out by part and by function, each dearest first.

    Args:
        cpu_us: of a request.
        lines: file, function, number of the line, and how often it was seen.
    """
    parts: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for file, function, number, count in lines:
        owner = part(file, linecache.getline(file, number))
        parts[owner] += count
        functions[f"{_short(file)}: {function}"] += count
    total = parts.total() or 1
    return (
        {name: cpu_us * count / total for name, count in parts.most_common()},
        {name: cpu_us * count / total for name, count in functions.most_common()},
    )


def _short(file: str) -> str:
    found = PACKAGE.search(file)
    if found is None:
        return Path(file).name
    return found[2] or f"{found[1]}{file[found.end() :]}"


async def profile(server: Server, load: Load, seconds: float) -> Profile:
    """Measure a server as it is, and sample it.

    Raises:
        ClientError: it did not start, or is not a Python module that can be sampled.
    """
    server_cpus, load_cpus = pinned.split()
    tool = generate.available()
    async with running(server, server_cpus) as alone:
        sample = await generate.measure(tool, load, alone, seconds, 0, load_cpus)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "lines.json"
        python, flag, module, *arguments = server.argv
        argv = (python, flag, "clients.bench.sampler", str(path), module, *arguments)
        sampled = dataclasses.replace(server, argv=argv)
        async with running(sampled, server_cpus, stop_signal=signal.SIGINT) as watched:
            os.kill(watched.pid, signal.SIGUSR1)
            await generate.measure(tool, load, watched, seconds, 0, load_cpus)
        if not path.exists():
            raise ClientError(
                f"{server.name} cannot be sampled: its work is not done by its module"
            )
        lines = json.loads(path.read_text("utf-8"))
    cpu_us = (sample.cpu_us or 0.0) * (sample.share_accepted or 0.0)  # of a reply, whichever
    parts, functions = shared_out(cpu_us, lines)
    return Profile(server=server.name, cpu_us=cpu_us, parts_us=parts, functions_us=functions)


def tables(found: Sequence[Profile]) -> list[Table]:
    """The parts of all of them, and the dearest functions of the last."""
    parts = sorted(
        {name for each in found for name in each.parts_us},
        key=lambda name: -max(each.parts_us.get(name, 0.0) for each in found),
    )
    last = found[-1]
    return [
        Table(
            columns=("CPU µs of a request", *(each.server for each in found)),
            rows=(
                ("all of it", *(f"{each.cpu_us:.1f}" for each in found)),
                *((name, *(_us(each.parts_us.get(name)) for each in found)) for name in parts),
            ),
            caption="Where the time of a request goes, by part",
        ),
        Table(
            columns=(f"function of {last.server}", "µs"),
            rows=tuple((name, _us(us)) for name, us in list(last.functions_us.items())[:TOP]),
            caption=f"The dearest functions of {last.server}, with what they call in C",
        ),
    ]


def _us(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def page(found: Sequence[Profile], stamp: dict[str, str]) -> Page:
    """All of it."""
    parts, functions = tables(found)
    return Page(
        title="Where the microseconds go",
        intro="CPU time for a request, shared out by the line that was running.",
        stamp=stamp,
        sections=(
            Section(title="By part", blocks=(parts,)),
            Section(title="By function", blocks=(functions,)),
        ),
    )


async def _command(
    options: argparse.Namespace, update: Callable[[str, int, int], None]
) -> list[Profile]:
    names = options.servers or DEFAULT
    found = []
    for number, name in enumerate(names):
        update(f"profile: {name}", number, len(names))
        found.append(
            await profile(servers.BY_NAME[name], loads.BY_NAME[options.load], options.seconds)
        )
    return found


async def _report(options: argparse.Namespace) -> int:
    with command.progress() as update:
        found = await _command(options, update)
    console = Console(width=None if sys.stdout.isatty() else pages.WIDTH_OF_A_FILE)
    for table in tables(found):
        console.print(table.rich())
    results = {"stamp": machine(), "profiles": [dataclasses.asdict(each) for each in found]}
    command.write_json(options.json, results)
    pages.write(options.out, results, lambda plots: page(found, machine()))
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    parser = command.parser("bench profile", "Where the microseconds of a request go.")
    parser.add_argument(
        "servers", nargs="*", metavar="SERVER", help=f"default: {' '.join(DEFAULT)}"
    )
    parser.add_argument("--load", choices=loads.BY_NAME, default="keepalive-50")
    parser.add_argument(
        "--seconds",
        type=command.positive_float,
        default=SECONDS,
        help="of each run (default: %(default)g)",
    )
    pages.add_out(parser, "profile")
    options = parser.parse_args(arguments)
    for name in options.servers:
        if name not in servers.BY_NAME:
            parser.error(f"there is no {name}; choose from {', '.join(servers.BY_NAME)}")
    return command.run(partial(_report, options))
