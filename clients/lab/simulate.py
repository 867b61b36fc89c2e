"""The same experiments in virtual time: the stage's own code, on a clock that jumps.

``serve`` of a stage runs as it is, with its channel, workers, locks, ledger and routes; only what
it would talk to is replaced: the listener by a gateway that hands it requests without a socket, and
the clock by Trio's ``MockClock``, which jumps to the next deadline whenever every task waits. Jobs
are tasks (``--offload task``), for threads sleep in real time.

So nothing costs time but what the settings say, an hour passes in a moment, and the result is the
model's own world, without a machine in it, and the same each time but for who goes first of those
that come in one moment. What differs from it over real sockets is what the machine cost.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields, replace
from random import Random
from typing import TYPE_CHECKING, Any

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_stages.connection import awaited
from trio_stages.ladder import STAGES
from trio_stages.messages import Head, Request
from trio_stages.options import Settings, parse_settings
from trio_stages.telemetry import Telemetry

from .recording import Recorder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_stages.connection import Respond
    from trio_stages.replies import Reply

    from .recording import Recording

# How often somebody looks whether all is done; no result depends on it.
LOOK_S = 0.05


class Stage:
    """A stage in virtual time, as its clients see it.

    Attributes:
        telemetry: of the stage.
        stop: begins a graceful stop; None before stage 10.
    """

    def __init__(self, telemetry: Telemetry, respond: Respond) -> None:
        self.telemetry = telemetry
        self.stop: Callable[[], None] | None = None
        self._respond = respond
        self._requests: dict[str, Request] = {}

    async def post(self, user: str, amount: int = 10) -> Reply:
        """One event; the reply, without any time on the way."""
        request = self._requests.get(user)
        if request is None:
            body = json.dumps({"user": user, "action": "deposit", "amount": amount}).encode()
            request = self._requests[user] = _request(b"POST", b"/", body)
        return await awaited(self._respond(request, _CLIENT))

    async def get(self, path: str) -> Reply:
        """One GET."""
        return await awaited(self._respond(_request(b"GET", path.encode(), b""), _CLIENT))

    async def idle(self, enough: float = math.inf) -> None:
        """Return when no accepted job is outstanding, or so many have been done."""
        while True:
            books = self.telemetry.ledger.statistics()
            if not (books.queued or books.in_hand or books.waiting) or books.processed >= enough:
                return
            await trio.sleep(LOOK_S)


Drive = Callable[[Stage], Awaitable[None]]
"""The clients: sends what it wants and returns when it has all its replies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What a simulation showed.

    Attributes:
        settings: of the stage.
        final: the stage's final figures.
        recording: moment by moment.
        flood_s: virtual seconds until the clients were done.
        virtual_s: virtual seconds in all.
    """

    settings: Settings
    final: dict[str, Any]
    recording: Recording
    flood_s: float
    virtual_s: float

    @property
    def accepted(self) -> int:
        """Events."""
        return int(self.final["accepted"])

    @property
    def rejected(self) -> int:
        """Events."""
        return int(self.final["rejected"])

    @property
    def busy_per_s(self) -> float:
        """Jobs per second while anything was queued, the flood included."""
        recording = self.recording
        return recording.rate_per_s(self.settings.workers, end_s=recording.emptied_s)


def settings_of(stage: int, **overrides: Any) -> Settings:
    """The stage's defaults with jobs in tasks, and what the experiment wants otherwise."""
    settings = parse_settings(stage, STAGES[stage].load().DEFAULTS, [], {})
    return replace(settings, offload="task", **overrides)


class RandomTimes(Settings):
    """Settings whose jobs take exponential times: whoever asks asks on behalf of one job.

    The means are ``work_ms`` and ``hold_ms``. (The telemetry asks once, for the configured rate
    that ``Retry-After`` is reckoned by before there is a measured one.)
    """

    __slots__ = ()
    random = Random(1)

    @property
    def work_s(self) -> float:
        """Of one job."""
        return self._draw(self.work_ms)

    @property
    def hold_s(self) -> float:
        """Of one job."""
        return self._draw(self.hold_ms)

    def _draw(self, mean_ms: float) -> float:
        return self.random.expovariate(1000 / mean_ms) if mean_ms else 0.0

    @classmethod
    def of(cls, settings: Settings, seed: int = 1) -> Settings:
        """The same settings, but for the times of their jobs."""
        cls.random = Random(seed)
        return cls(**{each.name: getattr(settings, each.name) for each in fields(settings)})


def flood(times_s: Sequence[float], users: Sequence[int], *, tasks: bool = False) -> Drive:
    """Clients that send on schedule, whatever happens (an open loop).

    Args:
        times_s: seconds from the start; see ``clients.arrivals``.
        users: whose request each is.
        tasks: each waits for its reply in a task of its own, as it must where replies take time
            (stage 4, ``--overflow wait``).
    """
    names = [f"user{number}" for number in range(max(users, default=0) + 1)]

    async def drive(stage: Stage) -> None:
        start_s = trio.current_time()
        async with trio.open_nursery() as nursery:
            for at_s, user in zip(times_s, users, strict=True):
                if start_s + at_s > trio.current_time():
                    await trio.sleep_until(start_s + at_s)
                if tasks:
                    nursery.start_soon(stage.post, names[user])
                else:
                    await stage.post(names[user])

    return drive


def simulate(
    stage: int, drive: Drive, settings: Settings, *, enough: float = math.inf
) -> Simulated:
    """Run a stage and its clients in virtual time; blocks for as long as that takes to compute.

    Args:
        stage: its number, 4 or higher.
        drive: the clients.
        settings: see ``settings_of``.
        enough: when the clients are done, the stage goes on until all accepted jobs are, or so
            many; then it is stopped as by a signal, and the others are abandoned.
    """
    clock = MockClock(autojump_threshold=0.0)
    return trio.run(_simulate, stage, drive, settings, enough, clock=clock)


async def _simulate(stage: int, drive: Drive, settings: Settings, enough: float) -> Simulated:
    recorder = Recorder(trio.current_time, trio.lowlevel.current_task)
    telemetry = Telemetry(settings, clock=trio.current_time)
    recorder.attach(telemetry)
    flood_s = math.nan
    start_s = trio.current_time()

    async def clients(stage: Stage) -> None:
        nonlocal flood_s
        await drive(stage)
        flood_s = trio.current_time() - start_s
        await stage.idle(enough)

    gateway = _Gateway(telemetry, clients)
    async with trio.open_nursery() as nursery:
        serve = STAGES[stage].load().serve
        gateway.stop = await nursery.start(serve, gateway, telemetry)
        await wait_all_tasks_blocked()  # every worker is at the channel
        gateway.go.set()
        await gateway.done.wait()
        nursery.cancel_scope.cancel()
    return Simulated(
        settings=settings,
        final=telemetry.final(),
        recording=recorder.finish(),
        flood_s=flood_s,
        virtual_s=trio.current_time() - start_s,
    )


class _Gateway:
    """Stands in for the listener: whoever asks is a function of this process."""

    def __init__(self, telemetry: Telemetry, clients: Drive) -> None:
        self._telemetry = telemetry
        self._clients = clients
        self.stop: Callable[[], None] | None = None
        self.go = trio.Event()
        self.done = trio.Event()

    async def serve(
        self, respond: Respond, stop: trio.Event | None, *, task_status: trio.TaskStatus[None]
    ) -> None:
        stage = Stage(self._telemetry, respond)
        task_status.started()
        await self.go.wait()
        stage.stop = self.stop
        await self._clients(stage)
        self.done.set()


class _Client:
    async def gone(self) -> None:
        await trio.sleep_forever()


_CLIENT = _Client()


def _request(method: bytes, path: bytes, body: bytes) -> Request:
    head = Head(
        method=method,
        path=path,
        body_bytes=len(body),
        chunked=False,
        expects_continue=False,
        keep_alive=True,
        http_1_0=False,
        plain=True,
    )
    return Request(head, body)
