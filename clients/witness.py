"""Was every request answered that had been sent before the stop? A flood that bears witness.

A server that closes too soon answers with a reset, and the client cannot know whether its event was
taken. So each request is put down with the moment at which the kernel had all of it, and with how
it ended. Half of the clients keep their connections; the others open one for each request, so that
at any moment some stand in the kernel's queue with theirs, where no server has seen them yet.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from itertools import cycle
from random import Random
from typing import TYPE_CHECKING

import trio

from .claims import Claim
from .http import ClientError, NoReply, Target, connect, read_reply
from .loads import LOADS
from .replies import BadReply
from .spawn import spawned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .replies import Reply

STAGE = 10
DRAIN_S = 10.0  # the stage's own deadline
# The signal comes at a random moment within: the queue is filling, full, or long overrun.
DELAY_S = (0.05, 1.0)


class End(Enum):
    """How it ended for one request."""

    ANSWERED = "answered"
    CLOSED = "closed"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Testimony:
    """One request.

    Attributes:
        sent_s: when the kernel had all of it; inf if that never happened.
        end: how it ended.
        status: of the reply; 0 without one.
    """

    sent_s: float
    end: End
    status: int


class Witness:
    """A client that sends one event after the other until nobody listens any more."""

    def __init__(self, target: Target, testimonies: list[Testimony]) -> None:
        self._target = target
        self._testimonies = testimonies
        self._stream: trio.SocketStream | None = None

    async def run(self, messages: Iterable[bytes]) -> None:
        """Send until a connection is refused, or ends without a reply."""
        try:
            for message in messages:
                reply = await self._ask(message)
                if reply is None:
                    return
                if reply.close:
                    self._leave()
        except NoReply:
            pass  # refused
        finally:
            self._leave()

    async def _ask(self, message: bytes) -> Reply | None:
        if self._stream is None:
            self._stream = await connect(self._target)
        sent_s, reply = math.inf, None
        try:
            await self._stream.send_all(message)
            sent_s = trio.current_time()
            reply = await read_reply(self._stream)
            end = End.ANSWERED
        except BadReply:  # none, or cut short
            end = End.CLOSED
        except trio.BrokenResourceError:
            end = End.RESET
        self._testimonies.append(Testimony(sent_s, end, reply.status if reply else 0))
        return reply

    def _leave(self) -> None:
        if self._stream is not None:
            self._stream.socket.close()
            self._stream = None


@dataclass(frozen=True, slots=True)
class Stop:
    """One SIGTERM amid a flood.

    Attributes:
        delay_s: from the first request to the signal.
        took_s: from the signal to the end of the process.
        exit_status: of the process.
        promised: replies that said "accepted".
        accepted: the rest are the server's own figures.
        processed: see there.
        abandoned: see there.
        drained: processed after the signal.
        before: requests sent in full before the signal, by how they ended.
        after: the others.
    """

    delay_s: float
    took_s: float
    exit_status: int | None
    promised: int
    accepted: int
    processed: int
    abandoned: int
    drained: int
    before: dict[str, int]
    after: dict[str, int]


async def stop_amid_flood(delay_s: float, concurrency: int, stage: int = STAGE) -> Stop:
    """Start the stage, flood it, stop it after a while, and hear the witnesses.

    Args:
        delay_s: from the first request to the signal.
        concurrency: clients of the flood.
        stage: its number, 5 or higher; those before the last one do not drain.

    Raises:
        ClientError: it wrote no final line.
    """
    testimonies: list[Testimony] = []
    async with spawned(stage) as server, trio.open_nursery() as nursery:
        target = await Target.locate(server.url)
        bodies = LOADS[stage].bodies()
        for number in range(concurrency):
            messages = [target.request("POST", "/", body, close=number % 2 > 0) for body in bodies]
            nursery.start_soon(Witness(target, testimonies).run, cycle(messages))
        await trio.sleep(delay_s)
        stop_s = trio.current_time()
        await server.stop()
        took_s = trio.current_time() - stop_s
    if server.final is None:
        raise ClientError("the server ended without a final line")
    return Stop(
        delay_s=delay_s,
        took_s=took_s,
        exit_status=server.exit_status,
        promised=sum(each.status == 202 for each in testimonies),
        **{key: server.final[key] for key in ("accepted", "processed", "abandoned")},
        drained=server.final.get("drained", 0),
        before=dict(Counter(each.end.value for each in testimonies if each.sent_s <= stop_s)),
        after=dict(Counter(each.end.value for each in testimonies if each.sent_s > stop_s)),
    )


@dataclass(frozen=True, slots=True)
class Drain:
    """All the stops, and what made them random."""

    seed: int
    concurrency: int
    stops: list[Stop]

    def claims(self) -> list[Claim]:
        """What ought to hold."""
        stops, times = self.stops, f"{len(self.stops)} times"
        before, after = (
            sum((Counter(getattr(stop, when)) for stop in stops), Counter[str]())
            for when in ("before", "after")
        )
        accepted = [stop.accepted for stop in stops]
        return [
            Claim(
                f"SIGTERM amid a flood, {times}: accepted = processed, exit 0",
                f"{sum(accepted):,} accepted, {sum(stop.drained for stop in stops):,} of them "
                f"drained, {sum(stop.abandoned for stop in stops)} abandoned (seed {self.seed})",
                all((s.processed, s.abandoned, s.exit_status) == (s.accepted, 0, 0) for s in stops),
            ),
            Claim(
                "accepted is what the clients were promised",
                f"{sum(stop.promised for stop in stops):,} promises",
                accepted == [stop.promised for stop in stops],
            ),
            Claim(
                "each within the drain deadline",
                f"{min(s.took_s for s in stops):.2f} to {max(s.took_s for s in stops):.2f} s",
                all(stop.took_s <= DRAIN_S for stop in stops),
            ),
            Claim(
                "whatever was sent in full before the signal is answered",
                f"{before['answered']:,} answered, {before['closed']} closed, "
                f"{before['reset']} reset; sent later: {after['answered']:,}, "
                f"{after['closed']}, {after['reset']}",
                before.keys() == {"answered"},
            ),
        ]


async def drain(
    runs: int = 20,
    concurrency: int = 200,
    seed: int | None = None,
    on_progress: Callable[[str, int, int], object] = lambda what, done, total: None,
) -> Drain:
    """Stop a flooded server again and again, each time at another moment.

    Args:
        runs: how often.
        concurrency: clients of the flood.
        seed: of the moments; None: a new one.
        on_progress: called after each run.
    """
    if seed is None:
        seed = Random().randrange(1_000_000)
    random = Random(seed)
    stops = []
    for run in range(runs):
        stops.append(await stop_amid_flood(random.uniform(*DELAY_S), concurrency))
        on_progress("drain: stops", run + 1, runs)
    return Drain(seed, concurrency, stops)
