"""Refusing work must not starve the work: a turn of the event loop answers only so many requests.

A turn of Trio's loop runs every task that is ready. Under a flood these are hundreds of
connections, each with a request to refuse, and one turn takes as long as all of them together. A
worker needs about four turns for a job that runs in a thread (take it, get a place from the
limiter, hear that the thread has ended, go on), so the more is refused, the less is done. Here each
turn answers a few requests and leaves the rest in line for the next, first come, first served:
fewer are answered in a second, but the turns are short, and in each of them every worker can move.

Where nobody works on a job as a turn begins, there is nobody to starve, and a turn may be long; but
not so long that it fills the queue before a worker has had a chance to take anything from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

# The trade, under a flood over 200 connections (docs/starvation.md): 16 a turn leave the workers of
# stage 9 73 % of their rate, 2 leave 84 %, 1 leaves 85 %, and refusals pay for it.
REQUESTS_A_TURN = 2
# With nobody to starve. A turn costs as much as a few requests, whatever is done in it.
REQUESTS_A_FREE_TURN = 64


class Turns:
    """The line in front of one server's request handlers; its ``usher`` has to be running.

    Args:
        jobs_worked_on: how many jobs are being worked on.
        requests_a_turn: how many requests may go ahead between two turns of the loop while there
            are any: so many of those that need their connection's task, and as many of those
            that the readiness answers.
    """

    def __init__(
        self, jobs_worked_on: Callable[[], int], requests_a_turn: int = REQUESTS_A_TURN
    ) -> None:
        self._jobs_worked_on = jobs_worked_on
        self._requests_a_turn = requests_a_turn
        self._room = 0
        self._line = trio.lowlevel.ParkingLot()
        self._counting = False  # somebody has gone ahead in this turn
        self._nobody_came = trio.lowlevel.ParkingLot()

    async def take(self) -> None:
        """Go ahead, at once if this turn has room, else when it is one's turn.

        Not a checkpoint when there is room. Cancelled in line, one has not gone ahead.
        """
        if not self.take_nowait():
            await self._line.park()

    def take_nowait(self) -> bool:
        """Go ahead if this turn has room; say whether it has."""
        if not self._counting:
            self._counting = True
            self._room = self.room()
            self._nobody_came.unpark()
        if not self._room:
            return False
        self._room -= 1
        return True

    async def usher(self) -> None:
        """Let the next ones go ahead, turn after turn, until cancelled."""
        while True:  # noqa: ASYNC913 (it parks where nobody comes, and is in line with the others)
            while not self._counting:
                await self._nobody_came.park()
            places = self.room()
            let_go = len(self._line.unpark(count=places))
            self._room = places - let_go
            if let_go:
                await trio.lowlevel.checkpoint()
            else:
                self._counting = False

    def room(self) -> int:
        """How many requests may go ahead in a turn that begins now.

        For a task that answers several: it gives way to the others when so many are answered.
        """
        return self._requests_a_turn if self._jobs_worked_on() else REQUESTS_A_FREE_TURN
