"""Accepting: how many, in what trouble, and how all of it ends; in virtual time."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
import trio
from support import EVENT, Client
from support_http import HOST, NEXT, HttpServer, StreamListener, framed, healthy, post, serving
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_stages import replies
from trio_stages.options import Settings
from trio_stages.server import RESERVE, serve_http

if TYPE_CHECKING:
    from trio_stages.connection import Client as Peer
    from trio_stages.framing import Request
    from trio_stages.replies import Reply


HEALTH = framed(b"GET /health HTTP/1.1", HOST)
REQUEST = post(EVENT)


async def fill(server: HttpServer, number: int) -> list[Client]:
    """Open so many connections that are served."""
    clients = [server.connect() for _ in range(number)]
    for client in clients:
        await client.send(HEALTH)
        assert (await client.response()).status == 200
    return clients


async def end_of(client: Client) -> bytes:
    """What the server sends until it ends the connection."""
    received = b""
    while data := await client.stream.receive_some():
        received += data
    return received


# Too many connections


BEYOND = {
    "health": (HEALTH, 200),
    "health, with a query": (framed(b"GET /health?full HTTP/1.1", HOST), 200),
    "stats": (framed(b"GET /stats HTTP/1.1", HOST), 503),
    "an event": (REQUEST, 503),
    "an event without its body": (REQUEST[: -len(EVENT)], 503),
    "no HTTP": (b"hello\r\n", 503),
}


@pytest.mark.parametrize(("sent", "status"), BEYOND.values(), ids=BEYOND)
async def test_beyond_the_limit_health_is_answered_and_nothing_else(
    autojump_clock: MockClock, sent: bytes, status: int
) -> None:
    async with serving(max_connections=2) as server:
        await fill(server, 2)
        async with server.connect() as client:
            await client.send(sent)
            reply = await client.response()
            assert reply.status == status
            assert reply.headers["connection"] == "close"
            assert await end_of(client) == b""
        assert trio.current_time() == 0.0
        refused = int(status == 503)
        if refused:
            assert reply.json == {"status": "error", "reason": "too_many_connections"}
        assert server.telemetry.connections_refused == server.http_errors == refused
        assert server.telemetry.connections == 2


@pytest.mark.parametrize("sent", [b"\r\n", HEALTH[:-1]], ids=["nothing", "half a head"])
async def test_beyond_the_limit_a_head_has_one_second(
    autojump_clock: MockClock, sent: bytes
) -> None:
    async with serving(max_connections=2) as server:
        await fill(server, 2)
        async with server.connect() as client:
            await client.send(sent)
            assert (await client.response()).status == 503
            assert trio.current_time() == 1.0


async def test_beyond_the_limit_head_is_answered_without_a_body(
    autojump_clock: MockClock,
) -> None:
    async with serving(max_connections=1) as server:
        await fill(server, 1)
        async with server.connect() as client:
            await client.send(framed(b"HEAD /health HTTP/1.1", HOST))
            assert (await client.response(head=True)).status == 200
            assert await end_of(client) == b""


async def test_beyond_the_reserve_nobody_is_accepted(autojump_clock: MockClock) -> None:
    async with serving(max_connections=2) as server:
        await fill(server, 2)
        silent = [server.connect() for _ in range(RESERVE)]
        last = server.connect()
        await last.send(HEALTH)
        await wait_all_tasks_blocked()
        assert server.listener.backlog == 1
        # The silent ones are told so after one second, and heard for another.
        assert [(await client.response()).status for client in silent] == [503] * RESERVE
        assert trio.current_time() == 1.0
        assert (await last.response()).status == 200
        assert trio.current_time() == 2.0
        assert server.telemetry.connections_refused == RESERVE


async def test_a_reserve_that_leaves_makes_room_at_once(autojump_clock: MockClock) -> None:
    async with serving(max_connections=1) as server:
        await fill(server, 1)
        silent = [server.connect() for _ in range(RESERVE)]
        last = server.connect()
        await last.send(HEALTH)
        await wait_all_tasks_blocked()
        assert server.listener.backlog == 1
        await silent[0].aclose()
        assert (await last.response()).status == 200
        assert trio.current_time() == 0.0


async def test_a_place_that_is_freed_is_used_again(autojump_clock: MockClock) -> None:
    async with serving(max_connections=3) as server:
        clients = await fill(server, 3)
        for _ in range(2 * RESERVE):
            await clients.pop(0).aclose()
            await wait_all_tasks_blocked()
            clients += await fill(server, 1)
            for client in clients:  # all of them are kept
                await client.send(HEALTH)
                assert "connection" not in (await client.response()).headers
        assert server.telemetry.connections_refused == 0


async def test_the_limit_is_exact_for_clients_that_come_together(
    autojump_clock: MockClock,
) -> None:
    async with serving(max_connections=5) as server:
        clients = [server.connect() for _ in range(12)]
        for client in clients:
            await client.send(HEALTH)
        kept = ["connection" not in (await client.response()).headers for client in clients]
        assert kept == [True] * 5 + [False] * 7
        assert server.telemetry.connections == 5


# Trouble with accepting


async def test_out_of_descriptors_it_waits_and_goes_on(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as server:
        server.listener.admit(*(OSError(errno.EMFILE, os.strerror(errno.EMFILE)) for _ in "12"))
        async with server.connect() as client:
            await client.send(HEALTH)
            assert (await client.response()).status == 200
            assert trio.current_time() == 0.2
    assert [record.message for record in caplog.records] == [
        "cannot accept a connection: Too many open files; trying again"
    ] * 2


@pytest.mark.parametrize("number", [errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
async def test_so_it_does_when_the_machine_runs_out(autojump_clock: MockClock, number: int) -> None:
    async with serving() as server:
        server.listener.admit(OSError(number, os.strerror(number)))
        await fill(server, 1)


async def test_any_other_error_is_not_swallowed() -> None:
    server = HttpServer(Settings(stage=3), StreamListener())
    server.listener.admit(OSError(errno.EBADF, os.strerror(errno.EBADF)))
    with pytest.RaisesGroup(OSError, flatten_subgroups=True):
        await serve_http(server.listener, healthy, server.telemetry)


# The end


async def test_cancellation_closes_all_at_once(autojump_clock: MockClock) -> None:
    async def respond(request: Request, client: Peer) -> Reply:
        if request.head.path == b"/wait":
            await trio.sleep(1000)
        return replies.HEALTHY

    wait = framed(b"GET /wait HTTP/1.1", HOST)
    async with serving(respond, max_connections=7) as server:
        clients = []
        for sent in (b"", NEXT[:5], REQUEST[:-5], NEXT, wait, b"hello\r\n"):
            clients.append(server.connect())
            if sent:
                await clients[-1].send(sent)
        clients.append(server.connect(lockstep=True))  # will not take its reply
        await clients[-1].send(NEXT)
        clients.append(server.connect())  # beyond the limit
        await wait_all_tasks_blocked()
        assert server.telemetry.connections == 7
        server.scope.cancel()
        await server.returned.wait()
        assert server.telemetry.connections == 0
        for client in clients:
            with pytest.raises(trio.BrokenResourceError):
                await client.send(b"hello?")
        assert trio.current_time() == 0.0


async def test_asked_to_stop_it_lets_each_finish(autojump_clock: MockClock) -> None:
    async def respond(request: Request, client: Peer) -> Reply:
        await trio.sleep(5)
        return replies.HEALTHY

    async with serving(respond) as server:
        idle, busy, late, body = (server.connect() for _ in range(4))
        await busy.send(NEXT + NEXT)
        await body.send(REQUEST[:-1])
        await wait_all_tasks_blocked()
        server.stop.set()
        await trio.sleep(0.05)
        await late.send(NEXT)
        assert await end_of(idle) == b""
        assert trio.current_time() == pytest.approx(0.12, abs=0.011)
        await trio.sleep_until(1)
        await body.send(REQUEST[-1:])
        for client, due_s in ((busy, 5.0), (late, 5.05), (body, 6.0)):
            assert (await client.response()).headers["connection"] == "close"
            assert trio.current_time() == pytest.approx(due_s)
            assert await end_of(client) == b""
            await client.aclose()
        await server.returned.wait()
        assert trio.current_time() == pytest.approx(6.0)


async def test_asked_to_stop_it_takes_who_is_already_in_line(autojump_clock: MockClock) -> None:
    async with serving() as server:
        clients = [server.connect() for _ in range(5)]
        for client in clients:
            await client.send(NEXT)
        server.stop.set()
        for client in clients:
            assert (await client.response()).status == 200
            assert await end_of(client) == b""
            await client.aclose()
        await server.returned.wait()
        assert trio.current_time() == pytest.approx(0.02 + 0.1)  # none in line, the last call
        with pytest.raises(trio.ClosedResourceError):
            await server.listener.accept()


async def test_asked_to_stop_it_hears_the_last_ones_out_but_once(
    autojump_clock: MockClock,
) -> None:
    async def respond(request: Request, client: Peer) -> Reply:
        await trio.sleep(0.05)
        return replies.HEALTHY

    async with serving(respond) as server, server.connect() as client:
        await client.send(NEXT)
        await wait_all_tasks_blocked()
        server.stop.set()
        assert (await client.response()).headers["connection"] == "close"
        assert await end_of(client) == b""
        await server.returned.wait()
        assert trio.current_time() == pytest.approx(1.05)


async def test_asked_to_stop_it_stops_accepting_however_many_come(
    autojump_clock: MockClock,
) -> None:
    async with serving() as server:
        server.stop.set()
        with pytest.raises(trio.BrokenResourceError):  # noqa: PT012
            while True:
                await trio.sleep(0.01)
                server.connect()
        assert trio.current_time() == pytest.approx(0.25, abs=0.011)


async def test_asked_to_stop_while_a_reply_is_on_its_way(autojump_clock: MockClock) -> None:
    async with serving() as server, server.connect(lockstep=True) as client:
        await client.send(NEXT)
        await wait_all_tasks_blocked()
        server.stop.set()
        await trio.sleep(1)
        assert (await client.response()).status == 200
        assert await end_of(client) == b""
        assert trio.current_time() == pytest.approx(1.1)
