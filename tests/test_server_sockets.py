"""Accepting on real sockets: who vanishes, who is answered at once, and who with the accept."""

from __future__ import annotations

import errno
import gc
import math
import os
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
from support import EVENT, PATIENCE_S, Client
from support_http import HOST, NEXT, Watched, framed, healthy, post
from trio.testing import wait_all_tasks_blocked

from trio_stages import readiness, replies
from trio_stages.connection import RECEIVE_BYTES, Connection
from trio_stages.options import Settings
from trio_stages.replies import Reply
from trio_stages.server import RESERVE, serve_http
from trio_stages.tcp import Arrivals, TcpStream
from trio_stages.turns import REQUESTS_A_FREE_TURN, REQUESTS_A_TURN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from trio.testing import MockClock

    from trio_stages.connection import Answer, Respond
    from trio_stages.connection import Client as Peer
    from trio_stages.framing import Request


HEALTH = framed(b"GET /health HTTP/1.1", HOST)
REQUEST = post(EVENT)


async def end_of(client: Client) -> bytes:
    """What the server sends until it ends the connection."""
    received = b""
    while data := await client.stream.receive_some():
        received += data
    return received


class TcpServer:
    def __init__(self, telemetry: Watched, port: int) -> None:
        self.telemetry = telemetry
        self.stop = trio.Event()
        self._port = port

    async def connect(self) -> Client:
        return Client(await trio.open_tcp_stream("127.0.0.1", self._port))


@asynccontextmanager
async def listening(
    respond: Respond = healthy,
    before: Callable[[TcpServer], Awaitable[None]] | None = None,
    **overrides: Any,
) -> AsyncIterator[TcpServer]:
    """Run ``serve_http`` on a loopback socket for the block, then cancel it.

    Args:
        respond: the handler.
        before: what clients do before anybody is accepted.
        overrides: settings other than the defaults.
    """
    telemetry = Watched(Settings(stage=3, **overrides))
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = TcpServer(telemetry, listener.socket.getsockname()[1])
    with trio.fail_after(PATIENCE_S):
        async with listener, trio.open_nursery() as nursery:
            if before is not None:
                await before(server)
            await nursery.start(serve_http, listener, respond, telemetry, server.stop)
            yield server
            nursery.cancel_scope.cancel()


async def vanish(client: Client) -> None:
    """Reset the connection, as a machine does that has lost power and comes back."""
    assert isinstance(client.stream, trio.SocketStream)
    client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await client.aclose()


async def test_a_refused_client_that_sends_on_gets_its_reply() -> None:
    async with listening(max_body_bytes=100_000) as server, await server.connect() as client:
        await client.send(post(b"x" * 200_000))
        assert (await client.response()).status == 413
        assert await end_of(client) == b""


async def test_a_client_that_has_closed_one_half_gets_its_reply() -> None:
    async with listening() as server, await server.connect() as client:
        await client.send(REQUEST)
        await client.stream.send_eof()
        assert (await client.response()).status == 200
        assert await end_of(client) == b""
        await server.telemetry.connected.wait_value(0)


async def test_a_client_that_vanishes_at_every_byte_costs_nothing_but_its_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with listening() as server, await server.connect() as neighbour:
        for end in range(len(REQUEST) + 1):
            client = await server.connect()
            await client.send(REQUEST[:end])
            await vanish(client)
            await neighbour.send(HEALTH)
            assert (await neighbour.response()).status == 200
        async with await server.connect() as last:  # accepted behind all of them
            await last.send(HEALTH)
            assert (await last.response()).status == 200
            await server.telemetry.connected.wait_value(2)
    assert not caplog.records


async def test_a_client_that_vanishes_is_gone_while_it_is_answered() -> None:
    async def respond(request: Request, client: Peer) -> Reply:
        if request.body:
            working.set()
            await client.gone()
            gone.set()
        return replies.HEALTHY

    working, gone = trio.Event(), trio.Event()
    async with listening(respond) as server:
        client = await server.connect()
        await client.send(REQUEST)
        await working.wait()
        await vanish(client)
        await gone.wait()
        await server.telemetry.connected.wait_value(0)


async def test_hundreds_of_clients() -> None:
    together, number = 0, 200
    all_here = trio.Event()

    async def respond(request: Request, client: Peer) -> Reply:
        nonlocal together
        together += 1
        if together == number:
            all_here.set()
        await all_here.wait()
        return replies.HEALTHY

    async def visit(server: TcpServer) -> None:
        async with await server.connect() as client:
            await client.send(HEALTH)
            assert (await client.response()).status == 200

    async with listening(respond) as server:
        async with trio.open_nursery() as nursery:
            for _ in range(number):
                nursery.start_soon(visit, server)
        await server.telemetry.connected.wait_value(0)


# The times and the memory of those who send no request


async def test_an_empty_line_is_no_way_around_the_header_timeout() -> None:
    """It comes with the connection: to some in a turn that has room, to others in one without."""

    async def come(server: TcpServer) -> None:
        for _ in range(2 * REQUESTS_A_FREE_TURN):
            clients.append(await server.connect())
            await clients[-1].send(b"\r\n")

    clients: list[Client] = []
    async with listening(before=come, header_timeout=0.2):
        for client in clients:
            async with client:
                assert (await client.response()).status == 408


@asynccontextmanager
async def idling(server: TcpServer) -> AsyncIterator[Client]:
    """A client that has been answered once, and whose idle time is running."""
    async with await server.connect() as client:
        await client.send(HEALTH)
        assert (await client.response()).status == 200
        await wait_all_tasks_blocked()
        yield client


def send_in_this_step(client: Client, data: bytes) -> None:
    assert isinstance(client.stream, trio.SocketStream)
    os.write(client.stream.socket.fileno(), data)


async def test_a_request_that_comes_as_the_idle_time_ends_is_answered(
    mock_clock: MockClock,
) -> None:
    """Whether the loop looks at the clock or at the news first is a matter of chance."""
    async with listening(idle_timeout=1.0) as server:
        for _ in range(10):
            async with idling(server) as client:
                send_in_this_step(client, HEALTH)
                mock_clock.jump(1.0)
                assert (await client.response()).status == 200


async def test_half_a_head_that_comes_as_the_idle_time_ends_has_the_time_of_a_head(
    mock_clock: MockClock,
) -> None:
    async with listening(idle_timeout=1.0) as server:
        for _ in range(10):
            async with idling(server) as client:
                send_in_this_step(client, HEALTH[:10])
                mock_clock.jump(1.0)
                await wait_all_tasks_blocked(0.01)
                await client.send(HEALTH[10:])
                assert (await client.response()).status == 200


async def test_an_empty_line_that_comes_as_the_idle_time_ends_buys_a_header_timeout_at_most(
    mock_clock: MockClock,
) -> None:
    async with listening(idle_timeout=1.0, header_timeout=0.5) as server:
        for _ in range(10):
            async with idling(server) as client:
                send_in_this_step(client, b"\r\n")
                mock_clock.jump(1.0)
                await wait_all_tasks_blocked(0.01)
                mock_clock.jump(0.5)
                assert (await end_of(client))[:12] in (b"", b"HTTP/1.1 408")


async def test_who_has_been_turned_away_is_forgotten() -> None:
    number = 20
    async with listening(max_connections=0) as server:
        for _ in range(number):
            async with await server.connect() as client:
                await client.send(HEALTH)
                assert (await client.response()).status == 200
                assert await end_of(client) == b""
        with trio.move_on_after(PATIENCE_S / 2):
            while sum(isinstance(each, Connection) for each in gc.get_objects()) > number / 2:
                gc.collect()
                await trio.sleep(0.01)
        assert sum(isinstance(each, Connection) for each in gc.get_objects()) <= number / 2


# Answered by the task that brings the news: the client has been here before, and its own task waits


async def test_a_handler_that_breaks_at_once_costs_its_own_client_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def respond(request: Request, client: Peer) -> Reply:
        if request.body:
            raise ZeroDivisionError
        return replies.HEALTHY

    async with listening(respond) as server, await server.connect() as neighbour:
        async with await server.connect() as client:
            await client.send(HEALTH)
            assert (await client.response()).status == 200
            await client.send(REQUEST)
            assert (await client.response()).status == 500
            assert await end_of(client) == b""
        await neighbour.send(HEALTH)
        assert (await neighbour.response()).status == 200
    assert [record.exc_info is not None for record in caplog.records] == [True]


async def test_what_the_kernel_does_not_take_at_once_follows_before_the_next_reply() -> None:
    size = 20_000_000

    def respond(request: Request, client: Peer) -> Reply:
        return Reply(200, b"x" * size) if request.body else replies.HEALTHY

    async with listening(respond) as server, await server.connect() as client:
        await client.send(HEALTH)
        assert (await client.response()).status == 200
        await client.send(REQUEST + HEALTH)
        assert len((await client.response()).body) == size
        assert (await client.response()).body == replies.HEALTHY.body


# Answered with the accept: the request was there before anybody looked


CLOSE = framed(b"GET /health HTTP/1.1", HOST, b"Connection: close")
LARGE = 20_000_000


def mixed(request: Request, client: Peer) -> Answer:
    """Waits where it is asked for /slow, and breaks, or has much to say, where it shall."""
    match request.head.path:
        case b"/slow":
            return healthy(request, client)
        case b"/broken":
            raise ZeroDivisionError
        case b"/large":
            return Reply(200, b"x" * LARGE)
        case _:
            return replies.HEALTHY


def last(path: bytes) -> bytes:
    return framed(b"GET %b HTTP/1.1" % path, HOST, b"Connection: close")


FIRST_AND_LAST: dict[str, tuple[bytes, list[int], bool]] = {
    "one request": (last(b"/"), [200], False),
    "one request, HTTP/1.0": (framed(b"GET / HTTP/1.0"), [200], False),
    "one that has to wait": (last(b"/slow"), [200], True),
    "one with a long reply": (last(b"/large"), [200], True),
    "one that breaks the handler": (last(b"/broken"), [500], True),
    "one, and something behind it": (last(b"/") + NEXT, [200], True),
    "one behind another": (NEXT + last(b"/"), [200, 200], True),
    "no HTTP": (b"hello\r\n", [400], True),
}


@pytest.mark.parametrize(
    ("sent", "statuses", "has_task"), FIRST_AND_LAST.values(), ids=FIRST_AND_LAST
)
async def test_a_request_that_comes_with_its_connection(
    sent: bytes, statuses: list[int], has_task: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = 0

    async def serve(self: Connection) -> None:
        nonlocal tasks
        tasks += 1
        await served(self)

    async def come(server: TcpServer) -> None:
        clients.append(await server.connect())
        await clients[0].send(sent)

    served, clients = Connection.serve, list[Client]()
    monkeypatch.setattr(Connection, "serve", serve)
    async with listening(mixed, come) as server:
        async with clients[0] as client:
            assert [(await client.response()).status for _ in statuses] == statuses
            assert await end_of(client) == b""
        await server.telemetry.connected.wait_value(0)
    assert tasks == has_task


PIECES = {
    "nothing": [b"", HEALTH],
    "part of it": [HEALTH[:9], HEALTH[9:]],
    "all of it": [HEALTH, b""],
    "two": [HEALTH + HEALTH, b""],
    "one that has to wait": [framed(b"GET /slow HTTP/1.1", HOST), b""],
}


@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES)
async def test_a_connection_goes_on_behind_what_came_with_it(pieces: list[bytes]) -> None:
    async def come(server: TcpServer) -> None:
        clients.append(await server.connect())
        await clients[0].send(pieces[0])

    clients: list[Client] = []
    async with listening(mixed, come), clients[0] as client:
        await client.send(pieces[1] + CLOSE)
        for _ in range(b"".join(pieces).count(b"GET") + 1):
            assert (await client.response()).status == 200
        assert await end_of(client) == b""


async def test_who_has_left_before_the_accept_costs_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def come_and_go(server: TcpServer) -> None:
        for leave in (vanish, Client.aclose):
            for sent in (b"", HEALTH[:9], HEALTH, CLOSE):
                client = await server.connect()
                await client.send(sent)
                await leave(client)

    async with listening(mixed, come_and_go) as server, await server.connect() as client:
        await client.send(CLOSE)
        assert (await client.response()).status == 200
        await server.telemetry.connected.wait_value(0)
    assert not caplog.records


async def test_a_connection_without_a_task_gives_its_place_back() -> None:
    async def come(server: TcpServer) -> None:
        for _ in range(3 * RESERVE):
            clients.append(await server.connect())
            await clients[-1].send(CLOSE)

    clients: list[Client] = []
    async with listening(mixed, come, max_connections=1):
        for client in clients:
            async with client:
                assert (await client.response()).status == 200


async def test_asked_to_stop_it_says_so_to_those_who_come_with_a_request() -> None:
    async def come(server: TcpServer) -> None:
        clients.append(await server.connect())
        await clients[0].send(HEALTH)
        server.stop.set()

    clients: list[Client] = []
    async with listening(mixed, come), clients[0] as client:
        assert (await client.response()).headers["connection"] == "close"
        assert await end_of(client) == b""


async def test_asked_to_stop_without_descriptors_it_finishes_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def take(self: Arrivals, most: float) -> list[trio.abc.Stream]:
        if most == math.inf:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return took(self, most)

    took = Arrivals.take
    monkeypatch.setattr(Arrivals, "take", take)
    async with listening(mixed) as server, await server.connect() as client:
        await client.send(HEALTH[:9])
        await server.telemetry.connected.wait_value(1)
        server.stop.set()
        await client.send(HEALTH[9:])
        assert (await client.response()).status == 200
        assert await end_of(client) == b""
    assert [record.message for record in caplog.records] == [
        "cannot accept the last connections: Too many open files"
    ]


@pytest.mark.parametrize("first", [b"", HEALTH], ids=["with the accept", "later"])
async def test_what_lies_unread_behind_the_last_request_resets_nothing(first: bytes) -> None:
    async def come(server: TcpServer) -> None:
        clients.append(await server.connect())
        await clients[0].send(first or full)

    wanted = b"Connection: close"
    full = post(b"x" * (RECEIVE_BYTES - len(post(b"", wanted)) - 4), wanted)
    assert len(full) == RECEIVE_BYTES
    full += b"\r\n"
    clients: list[Client] = []
    async with listening(mixed, come), clients[0] as client:
        if first:
            assert (await client.response()).status == 200
            await client.send(full)
        assert (await client.response()).status == 200
        assert await end_of(client) == b""


@pytest.mark.parametrize("together", [False, True])
async def test_small_replies_are_not_held_back(together: bool) -> None:
    """Two of them on the way, and the second would wait for the client's word of the first."""

    def respond(request: Request, client: Peer) -> Reply:
        assert isinstance(client, Connection)
        assert isinstance(client._stream, TcpStream)
        set_to = client._stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        return replies.HEALTHY if set_to else replies.NOT_FOUND

    async def come(server: TcpServer) -> None:
        clients.append(await server.connect())
        await clients[0].send(HEALTH * (1 + together))

    clients: list[Client] = []
    async with listening(respond, come), clients[0] as client:
        await client.response()  # one alone waits for nothing
        if not together:
            await client.send(HEALTH)
        assert (await client.response()).status == 200


@pytest.mark.parametrize("busy", [0, 1], ids=["idle", "busy"])
async def test_a_turn_answers_no_more_of_those_that_come_than_it_has_room_for(
    busy: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One task takes all that have come in one go; the workers shall have their turns all the same.

    The rest wait in line, each in a task.
    """

    class Turn(trio.abc.Instrument):
        def before_io_wait(self, timeout: float) -> None:
            answered.append(0)

    def respond(request: Request, client: Peer) -> Reply:
        answered[-1] += 1
        return replies.HEALTHY

    async def come(server: TcpServer) -> None:
        server.telemetry.ledger.handed_over = -busy  # as if a worker were at work
        for _ in range(200):
            clients.append(await server.connect())
            await clients[-1].send(CLOSE)
        trio.lowlevel.add_instrument(turn)

    answered, turn, clients = [0], Turn(), list[Client]()
    async with listening(respond, come):
        for client in clients:
            async with client:
                assert (await client.response()).status == 200
    trio.lowlevel.remove_instrument(turn)
    room = REQUESTS_A_TURN if busy else REQUESTS_A_FREE_TURN
    assert sum(answered) == 200
    assert max(answered) == room


async def test_without_epoll_it_serves_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "HAVE_EPOLL", False)
    async with listening(max_body_bytes=100_000) as server:
        client = await server.connect()
        for _ in range(3):
            await client.send(HEALTH)
            assert (await client.response()).status == 200
        await vanish(client)
        async with await server.connect() as other:
            await other.send(post(b"x" * 200_000))
            assert (await other.response()).status == 413
        await server.telemetry.connected.wait_value(0)


async def test_what_has_ended_does_not_wait_for_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        async with listening() as server:
            for end in (Client.aclose, vanish):
                client = await server.connect()
                for _ in range(2):
                    await client.send(HEALTH)
                    assert (await client.response()).status == 200
                await end(client)
                await server.telemetry.connected.wait_value(0)
            await wait_all_tasks_blocked()
            assert not [each for each in gc.get_objects() if isinstance(each, Connection)]
    finally:
        gc.enable()
