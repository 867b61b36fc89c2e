"""Turns: so many requests to a turn of the loop, first come, first served, and nobody starves.

Nothing here takes time. A turn is what lies between two waits for I/O, and ``Loop`` counts them.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
import trio
from support_http import NEXT, serving
from trio.testing import wait_all_tasks_blocked

from trio_stages import replies
from trio_stages.events import Event
from trio_stages.jobs import Job
from trio_stages.turns import REQUESTS_A_TURN, Turns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support import Client

    from trio_stages.connection import Client as Peer
    from trio_stages.framing import Request
    from trio_stages.ledger import Ledger
    from trio_stages.replies import Reply


class Loop(trio.abc.Instrument):
    """Counts the turns of the loop."""

    turn = 0

    def before_io_wait(self, timeout: float) -> None:
        self.turn += 1


@pytest.fixture
async def loop() -> Loop:
    loop = Loop()
    trio.lowlevel.add_instrument(loop)  # of a loop that ends with the test
    return loop


Open = Callable[[int], Awaitable[Turns]]


@pytest.fixture
def busy(nursery: trio.Nursery) -> Open:
    """Opens a line in front of a server that always has a job in hand."""

    async def open_line(requests_a_turn: int) -> Turns:
        turns = Turns(lambda: 1, requests_a_turn)
        nursery.start_soon(turns.usher)
        await wait_all_tasks_blocked()
        return turns

    return open_line


class Crowd:
    """Tasks that all come at once, and in which order they came and went ahead.

    Args:
        turns: the line.
        size: how many; all of them come in the same turn.
        cancelled: those in these places are cancelled as soon as the last one has come.
    """

    def __init__(
        self, turns: Turns, size: int, loop: Loop, cancelled: tuple[int, ...] = ()
    ) -> None:
        self._turns = turns
        self._size = size
        self._loop = loop
        self._cancelled = cancelled
        self._scopes: list[trio.CancelScope] = []
        self.arrived: list[int] = []
        self.went: list[int] = []
        self.went_in_turn: list[int] = []

    async def rush(self) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(self._size):
                nursery.start_soon(self._member, number)

    async def _member(self, number: int) -> None:
        with trio.CancelScope() as scope:
            self.arrived.append(number)
            self._scopes.append(scope)
            if len(self.arrived) == self._size:
                for place in self._cancelled:
                    self._scopes[place].cancel()
            await self._turns.take()
            self.went.append(number)
            self.went_in_turn.append(self._loop.turn)

    def groups(self) -> Iterator[set[int]]:
        """Who went ahead together, turn after turn."""
        for turn in sorted(set(self.went_in_turn)):
            pairs = zip(self.went, self.went_in_turn, strict=True)
            yield {number for number, in_turn in pairs if in_turn == turn}


@pytest.mark.parametrize("requests_a_turn", [1, 2, REQUESTS_A_TURN, 7])
async def test_so_many_go_ahead_in_each_turn_and_no_more(
    requests_a_turn: int, loop: Loop, busy: Open
) -> None:
    crowd = Crowd(await busy(requests_a_turn), 50, loop)
    await crowd.rush()
    went = Counter(crowd.went_in_turn)
    first, last = min(went), max(went)
    full = [went[turn] for turn in range(first, last) if went[turn]]
    assert full == [requests_a_turn] * (49 // requests_a_turn)
    assert went[last] == 50 - sum(full)
    # Not a turn is wasted, once the first of them has been heard of.
    assert last - first <= len(full) + 1


@pytest.mark.parametrize("requests_a_turn", [1, 3, REQUESTS_A_TURN])
async def test_first_come_first_served(requests_a_turn: int, loop: Loop, busy: Open) -> None:
    """Trio may run the tasks of one turn in any order, so they are compared turn by turn."""
    crowd = Crowd(await busy(requests_a_turn), 30, loop)
    await crowd.rush()
    by_arrival = [
        set(crowd.arrived[at : at + requests_a_turn]) for at in range(0, 30, requests_a_turn)
    ]
    assert list(crowd.groups()) == by_arrival


async def test_who_comes_later_does_not_overtake(loop: Loop, busy: Open) -> None:
    turns = await busy(1)
    crowd, late = Crowd(turns, 10, loop), Crowd(turns, 10, loop)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(crowd.rush)
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        assert 0 < len(crowd.went) < 10
        nursery.start_soon(late.rush)
    assert crowd.went == crowd.arrived
    assert late.went == late.arrived
    assert max(crowd.went_in_turn) < min(late.went_in_turn)


@pytest.mark.parametrize("cancelled", [(1,), (1, 2), (2,), (9,), (0,), tuple(range(1, 10))])
async def test_one_who_is_cancelled_in_line_takes_no_place(
    cancelled: tuple[int, ...], loop: Loop, busy: Open
) -> None:
    """The first had room at once; a cancellation comes too late for it."""
    crowd = Crowd(await busy(1), 10, loop, cancelled)
    await crowd.rush()
    expected = [
        number for place, number in enumerate(crowd.arrived) if place not in cancelled or not place
    ]
    assert crowd.went == expected
    waited = crowd.went_in_turn[1:]
    assert all(after == before + 1 for before, after in itertools.pairwise(waited))


class CancelOnceLetGo(trio.abc.Instrument):
    """Cancels whatever task waits in line as soon as it is told to go on, before it does."""

    def __init__(self, scope: trio.CancelScope) -> None:
        self._scope = scope
        self.waiting: trio.lowlevel.Task | None = None

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        if task is self.waiting:
            self._scope.cancel()


async def test_one_who_was_let_go_has_gone_ahead_though_cancelled_a_moment_later(
    busy: Open,
) -> None:
    turns, scope = await busy(1), trio.CancelScope()
    instrument = CancelOnceLetGo(scope)
    trio.lowlevel.add_instrument(instrument)
    await turns.take()  # the only place
    with scope:
        instrument.waiting = trio.lowlevel.current_task()
        await turns.take()
        assert scope.cancel_called
        instrument.waiting = None
    assert not scope.cancelled_caught


async def test_an_idle_server_is_left_alone(loop: Loop, busy: Open) -> None:
    turns = await busy(4)
    await wait_all_tasks_blocked()
    for _ in range(3):
        await turns.take()
        before = loop.turn
        await wait_all_tasks_blocked()
        assert loop.turn <= before + 2  # one for the usher, one to find that all are blocked


async def test_with_room_it_is_not_even_a_checkpoint(loop: Loop, busy: Open) -> None:
    turns = await busy(4)
    before = loop.turn
    with trio.CancelScope() as scope:
        scope.cancel()
        for _ in range(4):
            await turns.take()
    assert not scope.cancelled_caught
    assert loop.turn == before


async def test_without_a_job_in_hand_there_is_no_line(loop: Loop, nursery: trio.Nursery) -> None:
    turns = Turns(lambda: len(crowd.went) < 3, 1)
    crowd = Crowd(turns, 10, loop)
    nursery.start_soon(turns.usher)
    await wait_all_tasks_blocked()
    await crowd.rush()
    first, *_, last = crowd.groups()
    assert len(first) == 1
    # All who were still in line; Trio runs the third of the crowd and the usher in any order.
    assert len(last) in (6, 7)
    later = Crowd(turns, 10, loop)
    await later.rush()
    assert len(set(later.went_in_turn)) == 1


# Why all this


async def answered_meanwhile(turns: Turns | None, *, connections: int, worker_turns: int) -> int:
    """How many requests a flood has answered when a worker has got its turns of the loop.

    Args:
        turns: the line, or None for a server without one.
        connections: each of them always has another request.
        worker_turns: that the worker needs.
    """
    answered = 0

    async def connection() -> None:
        nonlocal answered
        while True:
            if turns is not None:
                await turns.take()
            answered += 1
            await trio.lowlevel.checkpoint()  # sending the reply

    async with trio.open_nursery() as nursery:
        for _ in range(connections):
            nursery.start_soon(connection)
        for _ in range(10):
            await trio.lowlevel.checkpoint()  # the flood is on
        before = answered
        for _ in range(worker_turns):
            await trio.lowlevel.checkpoint()
        meanwhile = answered - before
        nursery.cancel_scope.cancel()
    return meanwhile


async def test_a_worker_gets_its_four_turns_while_few_are_answered(busy: Open) -> None:
    """The fact that this file of the server is about, as a ratio and without a clock."""
    slack = REQUESTS_A_TURN
    with_turns = await answered_meanwhile(
        await busy(REQUESTS_A_TURN), connections=200, worker_turns=4
    )
    assert with_turns <= 4 * REQUESTS_A_TURN + slack
    assert with_turns >= 4 * REQUESTS_A_TURN - slack  # and the flood does not starve instead
    without = await answered_meanwhile(None, connections=200, worker_turns=4)
    assert without >= 4 * 200 - 200


def give_work(ledger: Ledger) -> None:
    """A job in hand, for good."""
    job = Job(Event(user="alice", action="buy", amount=1))
    ledger.accept(job)
    ledger.take(job)


async def test_the_connections_of_a_server_stand_in_one_line(loop: Loop) -> None:
    """Each of 50 clients has sent four requests at once."""
    answered: Counter[int] = Counter()

    async def respond(request: Request, client: Peer) -> Reply:
        answered[loop.turn] += 1
        return replies.HEALTHY

    async def ask(client: Client) -> None:
        await client.send(NEXT * 4)
        for _ in range(4):
            await client.response()

    async with serving(respond) as server:
        give_work(server.telemetry.ledger)
        clients = [server.connect() for _ in range(50)]
        await wait_all_tasks_blocked()  # all are accepted: from here on nothing else slows them
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(ask, client)
    assert sum(answered.values()) == 200
    assert max(answered.values()) == REQUESTS_A_TURN
