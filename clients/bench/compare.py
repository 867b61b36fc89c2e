"""``python -m clients.bench compare``: our stage 8 and the peers, side by side, round by round.

All servers are started first; then, in each round and under each load, they are measured one after
the other, in an order that moves on from round to round. Idle servers cost next to nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from clients import command
from clients.http import ClientError
from clients.spawn import allow_files
from trio_stages.report.machine import machine

from . import comparison_page, generate, loads, pages, pinned, servers, targets
from .running import Running, running

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .generate import Sample
    from .loads import Load
    from .servers import Server

# Many short rounds: the closer two servers stand in time, the fairer is their ratio.
ROUNDS, SECONDS = 9, 1.0
QUICK_ROUNDS, QUICK_SECONDS = 1, 1.0
SPARE_FILES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A run, or several of them as one.

    Attributes:
        stamp: machine, interpreter, versions, generator.
        seconds: of each sample.
        samples: all of them.
        absent: servers that could not take part, and why.
    """

    stamp: dict[str, str]
    seconds: float
    samples: tuple[Sample, ...]
    absent: dict[str, str]

    @property
    def rounds(self) -> str:
        """How many there are, of the load with fewest and of that with most."""
        each = Counter(load for load, _ in {(one.load, one.round) for one in self.samples})
        fewest, most = min(each.values()), max(each.values())
        return f"{fewest} to {most}" if fewest < most else f"{most}"

    def to_json(self) -> dict[str, Any]:
        """What ``results.json`` holds."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Comparison:
        """Read it back."""
        samples = tuple(generate.Sample(**sample) for sample in content["samples"])
        return cls(**(content | {"samples": samples}))

    @classmethod
    def joined(cls, parts: Sequence[Comparison]) -> Comparison:
        """Several runs as one with all of their rounds; machine and versions are the last one's."""
        samples: list[Sample] = []
        for part in parts:
            first = 1 + max((sample.round for sample in samples), default=-1)
            samples += [
                dataclasses.replace(sample, round=first + sample.round) for sample in part.samples
            ]
        absent = {name: why for part in parts for name, why in part.absent.items()}
        return dataclasses.replace(parts[-1], samples=tuple(samples), absent=absent)


async def compare(
    chosen: Sequence[Server],
    under: Sequence[Load],
    *,
    rounds: int,
    seconds: float,
    tool: generate.Tool,
    on_progress: Callable[[str, int, int], object] = lambda what, done, total: None,
) -> Comparison:
    """Measure each server under each load.

    Args:
        chosen: the servers; those whose packages are missing are left out.
        under: the loads.
        rounds: how often.
        seconds: for how long each time; wrk takes whole ones.
        tool: the load generator.
        on_progress: called before each sample.

    Raises:
        ClientError: none of them could be started, or the generator failed.
    """
    allow_files(max(load.connections for load in under) + SPARE_FILES)
    server_cpus, load_cpus = pinned.split()
    absent: dict[str, str] = {}
    samples: list[Sample] = []
    async with AsyncExitStack() as stack:
        started: list[Running] = []
        for server in chosen:
            if server.missing:
                absent[server.name] = f"not installed: {', '.join(server.missing)}"
                continue
            on_progress(f"start {server.name}", len(started), len(chosen))
            try:
                started.append(await stack.enter_async_context(running(server, server_cpus)))
            except ClientError as error:
                absent[server.name] = str(error)
        if not started:
            raise ClientError("; ".join(f"{name}: {why}" for name, why in absent.items()))
        total = rounds * sum(each.server.stands(load) for load in under for each in started)
        for number in range(rounds):
            for load in under:
                first = number % len(started)  # who goes first must not matter
                for each in started[first:] + started[:first]:
                    if not each.server.stands(load):
                        continue
                    on_progress(f"{load.name}: {each.server.name}", len(samples), total)
                    samples.append(
                        await generate.measure(tool, load, each, seconds, number, load_cpus)
                    )
    stamp = machine() | servers.versions(chosen)
    stamp["load generator"] = await generate.describe(tool)
    stamp["pinned"] = "server and load apart" if load_cpus else "no"
    return Comparison(stamp=stamp, seconds=seconds, samples=tuple(samples), absent=absent)


def main(arguments: list[str]) -> int:
    """Run the command; return its exit status."""
    parser = command.parser("bench", "Our stage 8 beside the peers.")
    parser.add_argument(
        "--servers",
        type=_names(servers.BY_NAME),
        default=servers.SERVERS,
        metavar="NAME,…",
        help=f"of {', '.join(servers.BY_NAME)}; default: all",
    )
    parser.add_argument(
        "--loads",
        type=_names(loads.BY_NAME),
        metavar="NAME,…",
        help=f"of {', '.join(loads.BY_NAME)}; default: all",
    )
    parser.add_argument(
        "--checkout",
        type=Path,
        action="append",
        default=[],
        metavar="DIRECTORY",
        help="measure stage 8 of this checkout too; may be given several times",
    )
    parser.add_argument("--rounds", type=command.positive, metavar="N", help=f"default: {ROUNDS}")
    parser.add_argument(
        "--seconds",
        type=command.positive_float,
        metavar="S",
        help=f"of each sample (default: {SECONDS:g}); wrk takes whole ones",
    )
    parser.add_argument("--quick", action="store_true", help="one round of one second, four loads")
    parser.add_argument(
        "--generator", choices=("wrk", "own"), help="default: wrk where it is installed"
    )
    pages.add_from(parser)
    pages.add_out(parser, "compare")
    return command.run(partial(_command, parser.parse_args(arguments)))


async def _command(options: argparse.Namespace) -> int:
    if options.earlier:
        found = Comparison.joined([read(path) for path in options.earlier])
    else:
        quick = options.quick
        with command.progress() as update:
            found = await compare(
                [*options.servers, *map(of_checkout, options.checkout)],
                options.loads or [load for load in loads.LOADS if load.quick or not quick],
                rounds=options.rounds or (QUICK_ROUNDS if quick else ROUNDS),
                seconds=options.seconds or (QUICK_SECONDS if quick else SECONDS),
                tool=options.generator or generate.available(),
                on_progress=update,
            )
    console = Console(width=None if sys.stdout.isatty() else pages.WIDTH_OF_A_FILE)
    for table in comparison_page.tables(found):
        console.print(table.rich())
    pages.print_verdicts(targets.verdicts(found.samples))
    for name, why in found.absent.items():
        print(f"absent: {name}: {why}", file=sys.stderr)
    command.write_json(options.json, found.to_json())
    pages.write(
        options.out, found.to_json(), lambda plots: comparison_page.page(found, plots=plots)
    )
    return 0


def read(path: Path) -> Comparison:
    """An earlier run.

    Raises:
        ClientError: it is not there, or no such thing.
    """
    try:
        return Comparison.from_json(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise ClientError(f"{path}: {error.strerror}") from None
    except (KeyError, TypeError, ValueError):
        raise ClientError(f"{path}: no results of `bench compare`") from None


def of_checkout(directory: Path) -> Server:
    """Stage 8 of another checkout.

    Raises:
        ClientError: it is none.
    """
    if not (directory / "trio_stages" / "__main__.py").is_file():
        raise ClientError(f"{directory}: no checkout of this project")
    return servers.of_checkout(directory.resolve())


def _names(known: dict[str, Any]) -> Callable[[str], list[Any]]:
    def parse(text: str) -> list[Any]:
        unknown = [name for name in text.split(",") if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"there is no {unknown[0]}")
        return [known[name] for name in text.split(",")]

    return parse
