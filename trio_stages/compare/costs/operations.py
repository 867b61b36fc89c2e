"""What is measured, as a table: the operations, and the columns that do each of them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

#: Each column's module, beside this one.
MODULES = {
    "trio": "on_trio",
    "modern": "modern",
    "classic": "classic",
    "hardened": "hardened",
    "anyio": "on_anyio",
}
COLUMNS = tuple(MODULES)


def columns_at_hand() -> tuple[str, ...]:
    """Those that this interpreter can run: anyio is no dependency of this package."""
    return tuple(name for name in COLUMNS if name != "anyio" or find_spec("anyio"))


def load(column: str) -> ModuleType:
    """Import a column's operations."""
    return import_module(f".{MODULES[column]}", __package__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Something that a server does all day, or once at its end."""

    name: str  #: the function's name in each module
    title: str
    count: int  #: how often it is done in one run
    unit: str  #: ``us`` each, ``ms`` for all of them, or so many ``per_s`` of CPU time
    why: str  #: where a server meets it, and what is behind the figures

    def figure(self, seconds: float, count: int) -> float:
        """Seconds for ``count`` of them, in the unit."""
        if self.unit == "per_s":
            return count / seconds
        return seconds / count * 1e6 if self.unit == "us" else seconds * 1e3


OPERATIONS = (
    Operation(
        name="requests",
        title="GET, answered",
        count=5_000,
        unit="per_s",
        why="The columns' own servers and `GET /health`, 50 connections in a closed loop: socket, "
        "framing, one reply. Trio's tasks wait for the socket itself; asyncio's streams have a "
        "callback that reads ahead.",
    ),
    Operation(
        name="events",
        title="POST, processed",
        count=2_000,
        unit="per_s",
        why="The same with events, until the last one has changed the balance: queue, worker, "
        "lock, timeout and a thread for each.",
    ),
    Operation(
        name="checkpoint",
        title="checkpoint",
        count=50_000,
        unit="us",
        why="One turn of the loop with one task in it: `trio.lowlevel.checkpoint()` and "
        "`asyncio.sleep(0)`. All that waits costs at least this.",
    ),
    Operation(
        name="channel_nowait",
        title="queue, without waiting",
        count=100_000,
        unit="us",
        why="`send_nowait` and `receive_nowait`, `put_nowait` and `get_nowait`: how the server "
        "takes in an event. No task switch in any column.",
    ),
    Operation(
        name="channel",
        title="queue, waiting where it must",
        count=20_000,
        unit="us",
        why="A producer and a consumer with 100 places between them. Each of Trio's calls is a "
        "checkpoint, also when there is room; asyncio's return at once as long as there is, and "
        "meanwhile nobody else gets a turn.",
    ),
    Operation(
        name="hand_over",
        title="queue, to and fro",
        count=10_000,
        unit="us",
        why="Two tasks hand an item to and fro: each call wakes the other one, so here every "
        "column switches tasks.",
    ),
    Operation(
        name="lock",
        title="lock, free",
        count=50_000,
        unit="us",
        why="`async with lock` that nobody else wants. Trio's is a checkpoint, asyncio's takes it "
        "and goes on.",
    ),
    Operation(
        name="contended_lock",
        title="lock, ten tasks want it",
        count=20_000,
        unit="us",
        why="Held across a checkpoint, as a lock in a server is: each taking of it is a wait.",
    ),
    Operation(
        name="timeout",
        title="timeout around a checkpoint",
        count=20_000,
        unit="us",
        why="`trio.fail_after`, `asyncio.timeout`, `asyncio.wait_for`: one or two a request. "
        "Until 3.11 `wait_for` makes a task each time.",
    ),
    Operation(
        name="spawn",
        title="task, started and ended",
        count=20_000,
        unit="us",
        why="One for each connection.",
    ),
    Operation(
        name="thread",
        title="thread, there and back",
        count=2_000,
        unit="us",
        why="One for each job: `to_thread.run_sync`, `to_thread`, `run_in_executor`, with a "
        "function that does nothing.",
    ),
    Operation(
        name="cancel",
        title="cancel 10,000 tasks",
        count=10_000,
        unit="ms",
        why="Until the last one has run its `finally`.",
    ),
    Operation(
        name="stop",
        title="stop 2,000 connections",
        count=2_000,
        unit="ms",
        why="Real loopback sockets, idle: until every handler has ended and closed its own.",
    ),
)
BY_NAME = {operation.name: operation for operation in OPERATIONS}
