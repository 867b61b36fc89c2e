"""Ten thousand idle connections: what does each cost, and how long do they hold up a stop?"""

from __future__ import annotations

import select
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from .claims import Claim, released
from .drain import read_stats
from .http import Connection, Target, connect, read_reply
from .spawn import allow_files, spawned

if TYPE_CHECKING:
    from collections.abc import Callable

STAGE = 10
# Descriptors besides the connections: a process' own, and the server's reserve.
SPARE_FILES = 100
# How many are opened at a time: a listener's queue is finite.
OPENING = 100
# The most that a stop may take with all of them open, and that one may cost the server: it had 5 kB
# with its task on Python 3.11, and twice as much is a fault.
STOP_S, IDLE_BYTES = 4.0, 10_000


@dataclass(frozen=True, slots=True)
class Idle:
    """Idle connections, and what they cost.

    Attributes:
        connections: wanted.
        held: by the server's count.
        resident_bytes: of the server: before, with all of them, when they had left, and with as
            many again.
        left: connections, and descriptors, that it still had when they had left.
        stop_s: from SIGTERM to its end, with all of them open.
        reset: connections that the stop reset instead of closing.
        exit_status: of the server.
    """

    connections: int
    held: int
    resident_bytes: tuple[int, int, int, int]
    left: tuple[int, int]
    stop_s: float
    reset: int
    exit_status: int | None

    def claims(self) -> list[Claim]:
        """What ought to hold."""
        before, full, after, again = self.resident_bytes
        each = (full - before) / self.connections  # the kernel's share comes on top
        return [
            Claim(
                f"{self.connections:,} idle connections are held",
                f"{self.held:,}",
                self.held == self.connections,
            ),
            Claim(
                f"each for less than {IDLE_BYTES / 1e3:g} kB",
                f"{each / 1e3:.1f} kB: from {before / 1e6:.1f} to {full / 1e6:.1f} MB",
                each < IDLE_BYTES,
            ),
            Claim(
                "all of them are released",
                f"{self.left[0]} connections, {self.left[1]} descriptors left",
                self.left == (0, 0),
            ),
            Claim(
                "and their memory is used again",
                f"{after / 1e6:.1f} MB without them, {again / 1e6:.1f} with as many again",
                again <= 1.05 * full,
            ),
            Claim(
                f"a stop with all of them open takes {STOP_S:g} s at most, and resets none",
                f"{self.stop_s:.2f} s, {self.reset} reset, exit {self.exit_status}",
                self.stop_s <= STOP_S and not self.reset and self.exit_status == 0,
            ),
        ]


async def idle(
    connections: int = 10_000,
    on_progress: Callable[[str, int, int], object] = lambda what, done, total: None,
) -> Idle:
    """Hold idle connections, let them leave, hold as many again, and stop the server.

    Args:
        connections: how many.
        on_progress: called after each of these.
    """
    allow_files(connections + SPARE_FILES)
    options = [f"--max-connections={connections + 1}", "--idle-timeout=600"]
    async with spawned(STAGE, options) as server:
        target = await Target.locate(server.url)
        with Connection(target) as control:
            await released(control)  # the first request has costs of its own
            before, files = server.resident_bytes, server.open_files

            streams = await gather(target, connections)
            full = server.resident_bytes
            held = (await read_stats(control))["connections"] - 1
            on_progress("idle: connections held", 1, 3)

            for stream in streams:
                stream.socket.close()
            left = await released(control), server.open_files - files
            after = server.resident_bytes
            streams = await gather(target, connections)
            again = server.resident_bytes
            on_progress("idle: held again", 2, 3)

        ends = Ends(streams)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ends.watch)
            started_s = trio.current_time()
            await server.stop()
            stop_s = trio.current_time() - started_s
        on_progress("idle: stopped", 3, 3)
    return Idle(
        connections=connections,
        held=held,
        resident_bytes=(before, full, after, again),
        left=left,
        stop_s=stop_s,
        reset=ends.reset,
        exit_status=server.exit_status,
    )


async def gather(target: Target, connections: int) -> list[trio.SocketStream]:
    """Open keep-alive connections, each of which has been answered once."""
    message = target.request("GET", "/health")
    streams: list[trio.SocketStream] = []
    to_open = iter(range(connections))

    async def join() -> None:
        for _ in to_open:
            stream = await connect(target)
            streams.append(stream)
            await stream.send_all(message)
            await read_reply(stream)

    async with trio.open_nursery() as nursery:
        for _ in range(OPENING):
            nursery.start_soon(join)
    return streams


class Ends:
    """Watches how the server ends connections, and closes this side: all of them in one task.

    A task for each would cost as much as the server's stop, which is to be measured.

    Attributes:
        reset: connections that ended by a reset.
    """

    def __init__(self, streams: list[trio.SocketStream]) -> None:
        self._streams = {stream.socket.fileno(): stream for stream in streams}
        self.reset = 0

    async def watch(self) -> None:
        """Return when the last connection has ended."""
        with select.epoll() as ends:
            for number in self._streams:
                ends.register(number, select.EPOLLRDHUP)
            while self._streams:
                await trio.lowlevel.wait_readable(ends)
                for number, event in ends.poll(0):
                    self.reset += bool(event & select.EPOLLERR)
                    self._streams.pop(number).socket.close()
