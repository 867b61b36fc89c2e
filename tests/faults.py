"""Faults at every moment of a stage's life, and what must hold whatever happens.

A *moment* comes before each step of one of the server's tasks, and after each wait of its event
loop. In between, no task of the server gets from one await point to the next: whoever strikes at
every moment strikes at every await point. A ``Trial`` runs one stage in an event loop of its own,
among clients, and lets faults strike as planned. Time is virtual and the scheduler's dice are
loaded, so the same trial goes the same way again.

The faults are in ``fault_kinds.py``, what they hit in ``fault_connections.py`` and
``fault_jobs.py``, the clients in ``fault_clients.py``, and what must hold in ``fault_audit.py``.
"""

from __future__ import annotations

import io
import math
import os
import time
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from random import Random
from traceback import format_exception
from typing import TYPE_CHECKING
from unittest import mock

import trio
from fault_audit import Complaints, Disk, Leftovers, Promises, audit, logging_to
from fault_clients import asks_for_the_last_time, pipelines, visit
from fault_connections import Connections, Door, Visit
from fault_jobs import Jobs
from fault_kinds import HANG
from fault_scenes import PLACES, RESERVE
from support import PATIENCE_S, Client, ConnectionEnded, Server, Watch, stage_module
from trio._core import _run as scheduler
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_stages import connection, server
from trio_stages.runner import _LastWords
from trio_stages.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fault_kinds import Fault
    from fault_scenes import Scene

    from trio_stages.ledger import LedgerStatistics

# How late a stop may be. In virtual time nothing else takes time; a busy machine may.
LATE_S, REALLY_LATE_S = 1e-6, 2.0
# Where nothing happens meanwhile, a drain takes less than its deadline.
DRAINED_S = 3.0
# How long after the end of its time a server is given up whose thread hangs.
GIVE_UP_S = 0.2
# When clients give up: whoever needs a lock that a thread holds which hangs waits for ever.
PLAY_S = 3.0
# How long the last jobs may take when all clients have gone.
SETTLE_S = 2.0


class Trial(trio.abc.Instrument):
    """One stage from its start to its end, among clients and faults.

    Args:
        scene: what is played.
        plan: moment → the fault that strikes then.
        seed: of all that is left to chance.

    Attributes:
        moments: how many there have been.
        struck: the faults that have struck so far.
        may_abandon: one of them is a reason to abandon jobs.
        gave_up: the server was left alone with a thread that hangs.
        said: on stdout.
        at_the_end: the books before the last words sealed them.
        status: of the exit.
    """

    server: Server
    complaints: Complaints
    connections: Connections

    def __init__(self, scene: Scene, plan: Mapping[int, Fault], seed: object = 0) -> None:
        self.scene = scene
        self.plan = plan
        self.seed = f"{scene} {seed}"
        self.random = Random(self.seed)
        self.moments = 0
        self.struck: list[Fault] = []
        self.gave_up = False
        self.said = io.StringIO()
        self.status: int | None = None
        self.problems: list[str] = []
        self.at_the_end: LedgerStatistics | None = None
        self.traffic = Promises()
        self.disk = Disk()
        self.settings = scene.settings(drain_s=GIVE_UP_S if HANG in plan.values() else 5.0)
        # A deadline too short for a single job
        self.may_abandon = self.settings.work_s > self.settings.drain_timeout
        self.jobs = Jobs(self.settings)
        self._clock = None if scene.threads else MockClock(autojump_threshold=0)
        self._root: trio.lowlevel.Task | None = None
        self._patience = trio.CancelScope()
        self._stopping = False
        self._end_by_s = math.inf

    # For the tests

    def run(self) -> list[str]:
        """Run it; what is wrong afterwards?"""
        leftovers = Leftovers()
        with leftovers.watched():
            with logging_to(self.disk, self.settings) as self.complaints, self._exposed():
                try:
                    trio.run(self._main, clock=self._clock, instruments=[self])
                except Exception as error:
                    self.problems.append("".join(format_exception(error)))
                self._say_last_words()
            self.problems += audit(self)
        return self.problems + leftovers.found

    # For the clients

    async def connect(self, *, lockstep: bool = False) -> Client:
        """A client on a new connection."""
        return Client(await self.connections.open(lockstep=lockstep))

    def event(self, user: str) -> tuple[int, bytes]:
        """The amount and the body of a new event."""
        return self.traffic.sent.get(user, 0) + 1, self.traffic.event(user)

    async def response(self, client: Client, user: str, amount: int) -> None:
        """Wait for the reply to an event that has been sent, alone and in full."""
        owed = not self._stopping
        try:
            self.traffic.answered(user, amount, await client.response())
        except ConnectionEnded:
            gentle = all(fault.gentle for fault in self.struck)
            if owed and self._stopping and gentle and not self.may_abandon:
                self.problems.append(f"no reply to {user}, who had asked before the stop")
            raise

    # For the faults

    def one_visit(self, task: trio.lowlevel.Task | None) -> list[Visit]:
        """The connection whose task this is, else one of them in turn; none if there is none."""
        visits = self.connections.visits
        for each in self._upwards(task):
            if each in visits:
                return [visits[each]]
        return [*visits.values()][self.moments % len(visits) :][:1] if visits else []

    def stop(self) -> None:
        """What a signal does: a graceful stop where the stage can, and has not yet begun."""
        stop_gracefully = self.server.stop_gracefully
        if stop_gracefully is None:
            self.cancel()
        else:
            self.server.stop_gracefully = None
            gentle = all(fault.gentle for fault in self.struck)
            deadline_s = self.settings.drain_timeout
            self._end_in(min(DRAINED_S, deadline_s) if gentle else deadline_s)
            stop_gracefully()

    def cancel(self) -> None:
        """A hard stop."""
        self._end_in(0)
        self.server.scope.cancel()

    def jump(self, seconds: float) -> None:
        """Time has passed while nobody looked."""
        assert self._clock is not None
        self._clock.jump(seconds)
        self._end_by_s += seconds
        self._patience.deadline += seconds

    @property
    def door(self) -> Door:
        assert isinstance(self.server.listener, Door)
        return self.server.listener

    # The instrument

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """A moment, if it is a task of the server's."""
        if any(each is self._root for each in self._upwards(task)):
            self._moment(task)

    def after_io_wait(self, timeout: float) -> None:
        """A moment, while there is a server."""
        if self._root is not None and not self.server.ended.is_set():
            self._moment(None)

    def _moment(self, task: trio.lowlevel.Task | None) -> None:
        fault = self.plan.get(self.moments)
        self.moments += 1
        if fault is not None:
            self.struck.append(fault)
            fault.strike(self, task)

    @staticmethod
    def _upwards(task: trio.lowlevel.Task | None) -> Iterator[trio.lowlevel.Task]:
        while task is not None:
            yield task
            nursery = task.parent_nursery
            task = nursery.parent_task if nursery is not None else None

    # The course of events

    @contextmanager
    def _exposed(self) -> Iterator[None]:
        scheduler._r.seed(self.seed)
        with ExitStack() as stack:
            stack.enter_context(self.jobs.exposed())
            stack.enter_context(redirect_stdout(self.said))
            stack.enter_context(redirect_stderr(self.disk))
            for owner, name, value in (
                (server, "RESERVE", RESERVE),
                (server, "RESERVE_TIMEOUT_S", self.scene.timeout_s),
                (connection, "LINGER_S", self.scene.timeout_s),
                (scheduler, "_ALLOW_DETERMINISTIC_SCHEDULING", True),
                (os, "_exit", self._give_up),
            ):
                stack.enter_context(mock.patch.object(owner, name, value))
            yield

    async def _main(self) -> None:
        tasks = tasks_living()
        await self._open()
        self._patience.deadline = trio.current_time() + PATIENCE_S
        with self._patience, self.connections.exposed():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._serve)
                await wait_all_tasks_blocked()
                at_rest = tasks_living()
                with trio.move_on_after(PLAY_S if self.scene.threads else math.inf):
                    await self.scene.play(self)
                    if not self._stopping:
                        await self._check_alive(at_rest)
                if not self._stopping:
                    await self._stop_amid_work(nursery)
        if self._patience.cancelled_caught:
            self.problems.append("it hung")
        if tasks_living() != tasks:
            self.problems.append(f"{tasks_living() - tasks} tasks are left")

    async def _open(self) -> None:
        clock = self._clock.current_time if self._clock else time.perf_counter
        telemetry = Telemetry(self.settings, clock=clock)
        listener: Door | trio.SocketListener = Door()
        if self.scene.threads:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.server = Server(telemetry, Watch(telemetry), listener)
        self.connections = Connections(listener)
        self._last_words = _LastWords(telemetry)
        trio.lowlevel.add_instrument(self.server.watch)

    async def _serve(self) -> None:
        self._root = trio.lowlevel.current_task()
        listener, telemetry = self.server.listener, self.server.telemetry
        async with listener:
            with self.server.scope:
                async with trio.open_nursery() as nursery:
                    serve = stage_module(self.scene.stage).serve
                    self.server.stop_gracefully = await nursery.start(serve, listener, telemetry)
            self.server.ended.set()
            self._say_last_words()
        late_s = trio.current_time() - self._end_by_s
        if late_s > (REALLY_LATE_S if self.scene.threads else LATE_S):
            self.problems.append(f"the stop took {late_s} s too long")

    async def _check_alive(self, at_rest: int) -> None:
        """All clients have gone: nothing is left of them, and newcomers are served."""
        self.jobs.spare()
        struck, answered = len(self.struck), self.traffic.replies.total()
        problems = []
        await self._settle(at_rest)
        if tasks_living() != at_rest:
            problems.append(f"{tasks_living() - at_rest} tasks too many outlive their clients")
        for _ in range(PLACES):  # if one of them had not been given back, the last would miss it
            await visit(self, asks_for_the_last_time, "newcomer")
        answered = self.traffic.replies.total() - answered
        if answered < PLACES or "newcomer" not in self.traffic.made:
            problems.append(f"{answered} of {PLACES} newcomers were served")
        await self._settle(at_rest)
        if len(self.struck) == struck and not self.jobs.hanging:  # nothing has happened meanwhile
            self.problems += problems

    async def _settle(self, at_rest: int) -> None:
        def settled() -> bool:
            books = self.server.books
            return not (books.queued or books.in_hand or books.waiting or tasks_living() > at_rest)

        await self._until(settled)

    async def _stop_amid_work(self, nursery: trio.Nursery) -> None:
        """At rest, where a hard stop would lose work."""
        if self.server.stop_gracefully is not None:
            nursery.start_soon(visit, self, pipelines, "latecomer")
            await self._until(lambda: self.server.books.in_hand > 0)
        if not self._stopping:
            self.stop()

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait, not for too long, unless something has happened that will keep it from coming."""
        a_bit_s = self.scene.pause_s / 5
        for _ in range(round(SETTLE_S / a_bit_s)):
            if condition() or self.server.ended.is_set() or self.jobs.hanging:
                break
            await trio.sleep(a_bit_s)

    def _end_in(self, seconds: float) -> None:
        self._stopping = True
        self._end_by_s = min(self._end_by_s, trio.current_time() + seconds)
        if self.scene.threads:
            self._last_words.due_in(seconds + GIVE_UP_S)

    def _give_up(self, status: int) -> None:
        """What is left of the end of the process: the thread goes on, too late."""
        self.gave_up = True
        self.status = status
        self.jobs.let_go.set()

    def _say_last_words(self) -> None:
        self._last_words.call_off()  # it may be about to have the last word
        if self.status is None:
            self.at_the_end = self.server.books  # what the last words seal is not lost unseen
            self.status = self._last_words.say()


def tasks_living() -> int:
    return trio.lowlevel.current_statistics().tasks_living
