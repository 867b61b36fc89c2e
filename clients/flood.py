"""The measuring core: run a load against a server and keep the outcome of every request.

Rules:

1. The inner loop only sends, waits and writes two list items; what a reply means is worked out
   afterwards, so that the client is not what is being measured.
2. Latency runs from the moment the request was to be sent. In an open loop that is its place in
   the schedule, not the moment a connection was free: a slow server must not thin out the samples
   of its own slowness (coordinated omission).
3. Every request ends in exactly one outcome. One without a reply is ``unknown`` if any of it was
   sent, ``unsent`` if nothing was.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import trio

from .http import Connection, NoReply
from .replies import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .http import Target
    from .loads import Load

# How often the load's progress is looked at, in seconds.
WATCH_S = 0.1


class Outcome(Enum):
    """What became of a request."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    ERROR = "error"
    UNKNOWN = "unknown"
    UNSENT = "unsent"


@dataclass(frozen=True, slots=True)
class Latency:
    """A summary of latencies, in seconds; of no samples at all, ``nan``. Nearest rank, exact."""

    count: int
    mean_s: float
    p50_s: float
    p99_s: float
    max_s: float

    @classmethod
    def of(cls, samples_s: Iterable[float]) -> Latency:
        """Summarise the samples."""
        ordered = sorted(samples_s)
        if not ordered:
            return cls(0, math.nan, math.nan, math.nan, math.nan)
        count = len(ordered)
        return cls(
            count,
            math.fsum(ordered) / count,
            ordered[math.ceil(0.50 * count) - 1],
            ordered[math.ceil(0.99 * count) - 1],
            ordered[-1],
        )


@dataclass(frozen=True)
class LoadResult:
    """What happened to a load; item ``i`` of each sequence belongs to request ``i``.

    Attributes:
        load: what was sent.
        duration_s: from the first request to the last reply; without the wait for one that never
            came.
        replies: ``UNKNOWN`` or ``UNSENT`` where none came.
        latencies_s: seconds from the intended start to the reply, or to the loss of it.
        echo: the server is one of those that return the body (stages 1 and 2).
        stalled: it was given up.
    """

    load: Load
    duration_s: float
    replies: Sequence[Reply | Outcome]
    latencies_s: Sequence[float]
    echo: bool = False
    stalled: bool = False

    @cached_property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What each reply means."""
        if self.echo:
            bodies = self.load.bodies()
            return tuple(
                _judge_echo(reply, bodies[user])
                for reply, user in zip(self.replies, self.load.users_in_order(), strict=True)
            )
        return tuple(map(_judge, self.replies))

    @cached_property
    def counts(self) -> Counter[Outcome]:
        """Requests by outcome."""
        return Counter(self.outcomes)

    @property
    def accepted(self) -> int:
        """Requests with a 2xx (stages 1 and 2: with their own body)."""
        return self.counts[Outcome.ACCEPTED]

    @property
    def rejected(self) -> int:
        """Requests that the server refused because it was full or stopping."""
        return self.counts[Outcome.REJECTED]

    @property
    def sent(self) -> int:
        """Requests that reached the wire."""
        return self.load.requests - self.counts[Outcome.UNSENT]

    @property
    def unknown(self) -> int:
        """Requests that were sent and never answered: the server may have acted on them."""
        return self.counts[Outcome.UNKNOWN]

    @property
    def errors(self) -> int:
        """All others, and those without a reply."""
        return self.load.requests - self.accepted - self.rejected

    @property
    def throughput_per_s(self) -> float:
        """Requests answered per second."""
        answered = sum(isinstance(reply, Reply) for reply in self.replies)
        return answered / self.duration_s if self.duration_s > 0 else math.nan

    def latency(self, outcome: Outcome | None = None) -> Latency:
        """Latency of the answered requests, or of those with one outcome."""
        return Latency.of(
            latency_s
            for latency_s, reply, found in zip(
                self.latencies_s, self.replies, self.outcomes, strict=True
            )
            if isinstance(reply, Reply) and outcome in (None, found)
        )

    def by_user(self, outcome: Outcome) -> Counter[str]:
        """Requests with that outcome, by user."""
        return Counter(
            self.load.user(number) for number, found in enumerate(self.outcomes) if found is outcome
        )

    def answers(self) -> Counter[str]:
        """Requests by kind of answer: ``202 accepted``, ``503 server_busy``, ``no reply`` …"""
        labels = Counter(self.replies)
        answers: Counter[str] = Counter()
        for reply, count in labels.items():
            answers[_label(reply)] += count
        return answers


async def run_load(
    target: Target,
    load: Load,
    *,
    echo: bool = False,
    stall_s: float = math.inf,
    on_progress: Callable[[int], object] = lambda done: None,
) -> LoadResult:
    """Send a load and wait for all of its replies.

    A connection that is refused or reset costs the request it carried; its task goes on with a new
    connection. The latencies are of the Trio clock.

    Args:
        target: the server.
        load: what to send.
        echo: a reply counts as accepted if it returns the body that was sent.
        stall_s: give up when no request at all has ended for so many seconds; what is on its way
            is then ``unknown``, what was not yet sent ``unsent``.
        on_progress: called about ten times a second with the number of requests that ended.

    Raises:
        ClientError: no more files or sockets on this side.
    """
    send = [target.request("POST", "/", body, close=load.new_connections) for body in load.bodies()]
    users, schedule_s = load.users_in_order(), load.schedule_s()
    replies: list[Reply | Outcome] = [Outcome.UNSENT] * load.requests
    latencies_s = [math.nan] * load.requests
    numbers = iter(range(load.requests))
    ended, last = 0, 0.0
    now = trio.current_time

    async def client() -> None:
        nonlocal ended, last
        with Connection(target) as connection:
            for number in numbers:
                if schedule_s is None:
                    start = now()
                else:
                    start = started + schedule_s[number]
                    await trio.sleep_until(start)
                replies[number] = Outcome.UNKNOWN
                try:
                    replies[number] = await connection.request(send[users[number]])
                except NoReply as error:
                    if not error.sent:
                        replies[number] = Outcome.UNSENT
                last = now()
                latencies_s[number] = last - start
                ended += 1
                if load.new_connections:
                    connection.close()

    async def watch(flood: trio.CancelScope) -> None:
        patience_s = stall_s + (1 / load.rate_per_s if load.rate_per_s else 0)
        seen, since = 0, started
        while now() - since < patience_s:
            await trio.sleep(WATCH_S)
            on_progress(ended)
            if ended != seen:
                seen, since = ended, now()
        flood.cancel()

    started = last = now()
    async with trio.open_nursery() as watching:
        flood = trio.CancelScope()
        watching.start_soon(watch, flood)
        with flood:
            async with trio.open_nursery() as clients:
                for _ in range(min(load.concurrency, load.requests)):
                    clients.start_soon(client)
        stalled = flood.cancelled_caught
        duration_s = (last if stalled else now()) - started
        watching.cancel_scope.cancel()
    return LoadResult(load, duration_s, tuple(replies), tuple(latencies_s), echo, stalled)


@lru_cache(maxsize=1024)  # equal replies are one object, and there are few others
def _judge(reply: Reply | Outcome) -> Outcome:
    if isinstance(reply, Outcome):
        return reply
    if 200 <= reply.status < 300:
        return Outcome.ACCEPTED
    content = reply.json()
    # Not the 503 of a server with too many connections: that event was never looked at.
    if reply.status == 503 and isinstance(content, dict) and content.get("status") == "rejected":
        return Outcome.REJECTED
    return Outcome.ERROR


def _judge_echo(reply: Reply | Outcome, body: bytes) -> Outcome:
    if isinstance(reply, Outcome):
        return reply
    return Outcome.ACCEPTED if (reply.status, reply.body) == (200, body) else Outcome.ERROR


def _label(reply: Reply | Outcome) -> str:
    if isinstance(reply, Outcome):
        return "not sent" if reply is Outcome.UNSENT else "no reply"
    content = reply.json()
    if not isinstance(content, dict):
        return str(reply.status)
    return f"{reply.status} {content.get('reason', content.get('status', ''))}".rstrip()
