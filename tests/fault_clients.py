"""Clients for the fault tests: one function for each way to behave, well or badly.

``play`` lets some of them come, all at the same time; ``crowd`` has them come again and again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import trio
from support import Client, ConnectionEnded, request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from faults import Trial

    Behaviour = Callable[[Trial, Client, str], Awaitable[None]]

CAST = 4  # of the behaviours below
# What a fault does to a client at work.
HIT = (ConnectionEnded, trio.BrokenResourceError, trio.ClosedResourceError, OSError)
GARBAGE = (
    b"GET / HTTP/1.1\r\nbroken header\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/3.0\r\nHost: test\r\n\r\n",
    b"\x16\x03\x01\x00\xee\x01\x00\x00\xea\x03\x03",
    request("POST", "/", b"", "Expect: the impossible"),
)


async def is_regular(trial: Trial, client: Client, user: str) -> None:
    for _ in range(3):
        amount, body = trial.event(user)
        await client.send(request(body=body))
        await trial.response(client, user, amount)
        await trio.sleep(trial.scene.pause_s / 4)
    for path in ("/balances", f"/balances/{user}", "/stats", "/health"):
        await client.get(path)


async def pipelines(trial: Trial, client: Client, user: str) -> None:
    events = [trial.event(user) for _ in range(3)]
    await client.send(b"".join(request(body=body) for _, body in events))
    for amount, _ in events:
        trial.traffic.answered(user, amount, await client.response())


async def dawdles(trial: Trial, client: Client, user: str) -> None:
    """In four pieces, with ``100 Continue`` between two of them."""
    amount, body = trial.event(user)
    data = request("POST", "/events", body, "Expect: 100-continue")
    head = len(data) - len(body)
    for piece in (data[: head // 2], data[head // 2 : head]):
        await client.send(piece)
        await trio.sleep(trial.scene.pause_s)
    if (await client.stream.receive_some()).startswith(b"HTTP/1.1 100"):
        await client.send(body[:9])
        await trio.sleep(trial.scene.pause_s)
        await client.send(body[9:])
        trial.traffic.answered(user, amount, await client.response())


async def never_finishes(trial: Trial, client: Client, user: str) -> None:
    """Two thirds of a head, or all but a byte of the body, and then nothing until the 408."""
    _, body = trial.event(user)
    data = request(body=body)
    await client.send(data[:-1] if trial.random.random() < 0.5 else data[:30])
    await client.response()


async def never_reads(trial: Trial, client: Client, user: str) -> None:
    await client.send(request("GET", "/stats", b""))
    await trio.sleep(5 * trial.scene.pause_s)


async def talks_nonsense(trial: Trial, client: Client, user: str) -> None:
    await client.post(b'{"user":')
    await client.send(trial.random.choice(GARBAGE))
    await client.response()
    await client.response()  # there is none


async def leaves(trial: Trial, client: Client, user: str) -> None:
    """Without waiting for the reply."""
    _, body = trial.event(user)
    await client.send(request(body=body))
    await trio.sleep(trial.random.choice([0, trial.scene.pause_s / 100, trial.scene.pause_s]))


async def stops_sending(trial: Trial, client: Client, user: str) -> None:
    amount, body = trial.event(user)
    await client.send(request(body=body))
    await client.stream.send_eof()
    trial.traffic.answered(user, amount, await client.response())


async def asks_for_the_last_time(trial: Trial, client: Client, user: str) -> None:
    amount, body = trial.event(user)
    await client.send(request("POST", "/", body, close=True))
    await trial.response(client, user, amount)


BEHAVIOURS: tuple[Behaviour, ...] = (
    is_regular,
    pipelines,
    dawdles,
    never_finishes,
    never_reads,
    talks_nonsense,
    leaves,
    stops_sending,
    asks_for_the_last_time,
)


async def visit(trial: Trial, behaviour: Behaviour, user: str) -> None:
    """One connection, from its opening to its end."""
    with suppress(*HIT):
        async with await trial.connect(lockstep=behaviour is never_reads) as client:
            await behaviour(trial, client, user)


async def play(trial: Trial) -> None:
    """A few clients of different kinds, all at the same time."""
    async with trio.open_nursery() as nursery:
        for behaviour in trial.random.sample(BEHAVIOURS, CAST):
            nursery.start_soon(visit, trial, behaviour, behaviour.__name__)


async def post_all_the_time(trial: Trial) -> None:
    """Two who do nothing but post."""
    async with trio.open_nursery() as nursery:
        for behaviour in (is_regular, pipelines):
            nursery.start_soon(visit, trial, behaviour, behaviour.__name__)


async def crowd(trial: Trial) -> None:
    """A few who come again and again, as another kind each time."""
    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(wander, trial, f"user{number}")


async def wander(trial: Trial, user: str) -> None:
    for _ in range(4):
        await trio.sleep(trial.random.choice([0, trial.random.uniform(0, trial.scene.pause_s)]))
        await visit(trial, trial.random.choice(BEHAVIOURS), trial.random.choice([user, "shared"]))
