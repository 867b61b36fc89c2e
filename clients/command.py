"""What the commands share: ``--url``, ``--json``, Ctrl-C, errors in one line, the progress bar.

Exit status: what the command returns; 1 and one line on stderr for a ``ClientError``; 2 for usage;
128 + the signal, quietly, for SIGINT, SIGTERM and SIGHUP.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from .http import ClientError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

DEFAULT_URL = "http://127.0.0.1:8080"


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """An argument parser with what every client takes, except ``--url``."""
    made = argparse.ArgumentParser(prog=f"python -m clients.{name}", description=description)
    made.add_argument(
        "--json", type=_writable, metavar="FILE", help="write the results there, as JSON"
    )
    return made


def add_url(to: argparse._ActionsContainer) -> None:
    """Add ``--url``."""
    to.add_argument("--url", default=DEFAULT_URL, help="the server (default: %(default)s)")


def positive(text: str) -> int:
    """A whole number from 1 up, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def positive_float(text: str) -> float:
    """A finite number above 0, for argparse."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _writable(text: str) -> Path:
    path = Path(text)
    try:
        path.open("a").close()  # better now than after the measurement
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from None
    return path


def write_json(path: Path | None, content: Any) -> None:
    """Write the results, if there is a file to write them to."""
    if path is not None:
        path.write_text(json.dumps(finite(content), indent=2, allow_nan=False) + "\n")


def finite(content: Any) -> Any:
    """The same for JSON, which has no infinity and no NaN: they become null."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


def run(command: Callable[[], Awaitable[int]]) -> int:
    """Run a command until it ends or a signal does; return its exit status."""
    status = 1
    try:
        status = trio.run(_until_signal, command)
    except* ClientError as errors:
        for error in _flat(errors):
            print(f"error: {error}", file=sys.stderr)
    except* KeyboardInterrupt:
        status = 128 + signal.SIGINT
    return status


async def _until_signal(command: Callable[[], Awaitable[int]]) -> int:
    status = 0

    async def work() -> None:
        nonlocal status
        status = await command()
        nursery.cancel_scope.cancel()

    stops = [signal.SIGINT, signal.SIGTERM]
    # Whoever closes the terminal; a spawned server has a session of its own. Not under nohup.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        stops.append(signal.SIGHUP)
    with trio.open_signal_receiver(*stops) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            async for number in signals:
                status = 128 + number
                nursery.cancel_scope.cancel()
    return status


def _flat(errors: BaseExceptionGroup[ClientError]) -> Iterator[ClientError]:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _flat(error)
        else:
            yield error


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr if that is a terminal; yields ``update(what, done, total)``."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    # Drawn when it is told to, not by a thread of its own that would get in the measurement's way.
    with Progress(console=Console(stderr=True), auto_refresh=False, transient=True) as bar:
        task = bar.add_task("")

        def update(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total, refresh=True)

        yield update
