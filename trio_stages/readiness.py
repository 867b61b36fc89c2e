"""Which connections have something to read: the kernel is asked once a turn, for all of them.

``trio.lowlevel.wait_readable`` tells the kernel what it waits for each time anew: a system call and
some bookkeeping for every request. Here a connection is registered once, from its first wait on,
with an epoll of our own. Trio watches that like any other file; when it has news, one task reads
all of them and tells whom they concern. Whoever can be content with an answer gets it there and
then, as far as there is room in this turn of the loop (``turns.py``).

The registration is edge-triggered: the kernel speaks once when something has come, and once for the
last bytes and the end behind them if they come together. ``TcpStream`` says what follows from that,
and epoll(7) gives the rules.
"""

from __future__ import annotations

import select
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio
from trio_util import run_and_cancelling

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable

    from .turns import Turns

# BSD and macOS have none, and Trio's own way does very well.
HAVE_EPOLL = hasattr(select, "epoll")
EVENTS_AT_A_TIME = 1000


@asynccontextmanager
async def open_readiness(turns: Turns) -> AsyncIterator[Readiness]:
    """Tell the connections of the block, all of which are closed in it, when they may read.

    On cancellation too it outlives them: the watching may end before they do, but nothing closes.

    Args:
        turns: say how many may be answered there and then in a turn of the loop.
    """
    readiness = Readiness(turns)
    try:
        async with run_and_cancelling(readiness.watch):
            yield readiness
    finally:
        readiness.close()


class Readiness:
    """Connections, and whom to tell about them; ``watch`` has to be running."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._tell: dict[int, Callable[[bool], bool]] = {}
        self._telling = False
        self._told = trio.lowlevel.ParkingLot()
        if HAVE_EPOLL:
            self._epoll = select.epoll()
            self._news = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
            self._end = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR

    async def watch(self) -> None:
        """Tell whoever may read, until cancelled."""
        if not HAVE_EPOLL:
            await trio.sleep_forever()
        turns, who, end = self._turns, self._tell, self._end
        while True:
            await trio.lowlevel.wait_readable(self._epoll)
            self._telling = True
            room = turns.room()
            for number, events in self._epoll.poll(0, EVENTS_AT_A_TIME):
                if not room:
                    await trio.lowlevel.checkpoint()
                    room = turns.room()
                # It may be closed by now, and its number a newcomer's, who then looks in vain.
                tell = who.get(number)
                if tell is not None and tell(events & end != 0):
                    room -= 1
            self._telling = False
            self._told.unpark_all()

    async def catch_up(self) -> None:
        """Return when all that had come before the call has been told."""
        # Two, for the telling that is under way may have begun before the last came.
        for _ in range(2 + len(self._tell) // EVENTS_AT_A_TIME):
            await trio.lowlevel.checkpoint()
            if self._telling:
                await self._told.park()

    def register(self, connection: socket.socket, tell: Callable[[bool], bool]) -> bool:
        """Call ``tell`` whenever something has come, or the other side has left.

        Args:
            connection: open, and forgotten before it is closed.
            tell: given whether the other side will send nothing more than what has come; says
                whether it has shown that to somebody, who may have answered a request.

        Returns:
            False where there is no epoll, and nobody will be told anything.

        Raises:
            OSError: the machine cannot watch any more.
        """
        if HAVE_EPOLL:
            self._epoll.register(connection, self._news)
            self._tell[connection.fileno()] = tell
        return HAVE_EPOLL

    def forget(self, connection: socket.socket) -> None:
        """It is about to be closed."""
        if self._tell.pop(connection.fileno(), None):
            self._epoll.unregister(connection)

    def close(self) -> None:
        """Let go of the kernel's part."""
        if HAVE_EPOLL:
            self._epoll.close()
