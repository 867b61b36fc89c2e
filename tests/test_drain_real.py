"""Stage 10 comes to its end on real sockets, with real threads, and as a process."""

from __future__ import annotations

import signal
import socket
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import trio
from support import (
    PATIENCE_S,
    Flood,
    Process,
    Server,
    exchange,
    misbehave,
    request,
    running,
    spawned,
)
from trio.testing import wait_all_tasks_blocked

from trio_stages import server as http_server

if TYPE_CHECKING:
    from collections.abc import Iterator


def stop(server: Server) -> None:
    assert server.stop_gracefully is not None
    server.stop_gracefully()


# Real sockets


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Plain clients, closed after the test."""
    sockets: list[socket.socket] = []
    yield sockets
    for each in sockets:
        each.close()


def connect(port: int, sockets: list[socket.socket], *, send: bytes = b"") -> socket.socket:
    """Connect and send, as the kernel lets us: whether or not somebody accepts."""
    client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    sockets.append(client)
    client.sendall(send)
    return client


def read_all(client: socket.socket) -> bytes:
    """Everything up to the server's FIN; a reset would raise."""
    received = bytearray()
    while part := client.recv(65_536):
        received += part
    return bytes(received)


async def test_idle_sockets_are_closed_by_a_fin_and_not_by_a_reset(
    sockets: list[socket.socket],
) -> None:
    with trio.fail_after(PATIENCE_S):
        async with running(10, tcp=True) as server:
            silent = [connect(server.port, sockets) for _ in range(5)]
            regular = [
                connect(server.port, sockets, send=request("GET", "/health", b"")) for _ in range(5)
            ]
            for client in regular:
                assert (await trio.to_thread.run_sync(client.recv, 65_536)).endswith(b'"ok"}')
            stop(server)
            for client in silent + regular:
                assert await trio.to_thread.run_sync(read_all, client) == b""
                client.close()
            await server.ended.wait()


@pytest.mark.parametrize(
    "last_accept_s", [http_server.LAST_ACCEPT_S, 0], ids=["in turn", "in one go"]
)
async def test_the_kernels_backlog_is_accepted_and_answered(
    last_accept_s: float, sockets: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All in one step of one task: the server cannot have accepted anybody."""
    monkeypatch.setattr(http_server, "LAST_ACCEPT_S", last_accept_s)
    with trio.fail_after(PATIENCE_S):
        async with running(10, tcp=True) as server:
            await wait_all_tasks_blocked()
            clients = [connect(server.port, sockets, send=request()) for _ in range(60)]
            assert server.telemetry.connections == 0
            stop(server)
            for client in clients:
                data = await trio.to_thread.run_sync(read_all, client)
                assert data.startswith(b"HTTP/1.1 503 ")
                assert b"\r\nConnection: close\r\n" in data
                assert b'"shutting_down"' in data
                client.close()
            await server.ended.wait()
            assert server.books.rejected == 60


async def test_what_lies_unread_in_a_socket_at_the_stop_is_answered(
    sockets: list[socket.socket],
) -> None:
    """Sent on idle connections in the step before the stop."""
    with trio.fail_after(PATIENCE_S):
        async with running(10, tcp=True) as server:
            clients = [connect(server.port, sockets) for _ in range(20)]
            await wait_all_tasks_blocked(0.05)  # accepted
            assert server.telemetry.connections == 20
            for client in clients:
                client.sendall(request())
            stop(server)
            for client in clients:
                data = await trio.to_thread.run_sync(read_all, client)
                assert data.startswith(b"HTTP/1.1 503 ")
                client.close()
            await server.ended.wait()


@pytest.mark.parametrize("seed", range(3))
async def test_accepted_is_processed_in_threads_too(seed: int) -> None:
    random = Random(seed)
    with trio.fail_after(60):
        async with running(
            10, tcp=True, workers=4, capacity=20, work_ms=4, hold_ms=1, overflow="wait"
        ) as server:
            traffic = await misbehave(
                server,
                random,
                clients=20,
                pause_s=0.01,
                stop_after_s=random.uniform(0.1, 0.3),
                gracefully=True,
            )
            traffic.check(server)
            books = server.books
            assert books.accepted == books.processed > 0


# A process


def check_final(final: dict[str, Any]) -> None:
    assert final["received"] == final["accepted"] + final["rejected"] + final["invalid"]
    assert final["accepted"] == final["processed"] + final["failed"] + final["abandoned"]
    assert (final["queued"], final["in_hand"], final["waiting"]) == (0, 0, 0)
    assert final["balances_total"] == final["processed_amount"] == 100 * final["processed"]
    assert final["draining"] is True
    assert 0 <= final["drained"] <= final["processed"]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
async def test_a_signal_amid_a_flood_loses_nothing(
    signum: int, sockets: list[socket.socket]
) -> None:
    """What 40 clients were promised is in the books; who had sent in full before is answered."""
    with spawned(10, "--work-ms", "20") as process:
        flood = Flood(process.port)
        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(flood.client)
            await flood.in_full_swing.wait()
            early = [connect(process.port, sockets, send=request()) for _ in range(30)]
            process.process.send_signal(signum)
            for client in early:
                data = await trio.to_thread.run_sync(read_all, client)
                flood.statuses.append(int(data[9:12]))
        ended = await trio.to_thread.run_sync(process.wait)
    final = ended.final
    check_final(final)
    assert ended.status == 0
    assert final["accepted"] == final["processed"]
    assert final["abandoned"] == final["failed"] == 0
    assert final["drained"] > 0
    promised = flood.statuses.count(202)
    assert promised <= final["accepted"] <= promised + flood.unanswered
    assert set(flood.statuses) <= {202, 503}


def accepted(process: Process, number: int) -> socket.socket:
    """So many events are accepted; an idle connection, from which one can see that it drains."""
    idle = socket.create_connection(("127.0.0.1", process.port), timeout=PATIENCE_S)
    idle.sendall(request("GET", "/health", b""))
    assert idle.recv(65_536).startswith(b"HTTP/1.1 200 ")
    for _ in range(number):
        (reply,) = exchange(process.port, request(close=True))
        assert reply.status == 202
    return idle


def test_a_second_signal_stops_at_once() -> None:
    """The drain would take its 10 s, and even then not be done."""
    with spawned(10, "--workers", "1", "--work-ms", "5000") as process:
        with accepted(process, 5) as idle:
            process.process.send_signal(signal.SIGTERM)
            assert read_all(idle) == b""  # it has begun
        assert process.process.poll() is None
        ended = process.stop(signal.SIGTERM)
    assert ended.took_s < 4.0
    assert ended.status == 3
    check_final(ended.final)
    assert (ended.final["accepted"], ended.final["abandoned"]) == (5, 5)
    assert "gave up" not in ended.stderr
    assert "Traceback" not in ended.stderr


#: The work of a job, told to the hung: for how long, and deaf to any stop.
DEAF = """
import sys, time
from trio_stages.cli import main
from trio_stages.work import Work
Work.in_thread = lambda self, duration_s: time.sleep({seconds} if duration_s else 0)
sys.exit(main())
"""


def deaf_process(seconds: float) -> Any:
    options = ("--drain-timeout", "0.4", "--work-ms", "1", "--hold-ms", "0")
    return spawned(10, *options, code=DEAF.format(seconds=seconds))


def test_a_thread_that_hangs_is_given_up_half_a_second_after_the_deadline() -> None:
    with deaf_process(60) as process:
        accepted(process, 3).close()
        ended = process.stop(signal.SIGTERM)
    assert 0.9 <= ended.took_s < 6
    assert ended.status == 3
    check_final(ended.final)
    assert (ended.final["accepted"], ended.final["abandoned"]) == (3, 3)
    assert ended.final["balances_total"] == ended.final["drained"] == 0
    assert "gave up 3 accepted jobs" in ended.stderr
    assert "gave up a thread that still ran" in ended.stderr
    assert len(ended.stdout) == 2


def test_a_thread_that_returns_a_moment_after_the_deadline_is_waited_for() -> None:
    """Its effect has happened, and is counted."""
    with deaf_process(0.7) as process:
        accepted(process, 3).close()
        ended = process.stop(signal.SIGTERM)
    assert ended.status == 0
    check_final(ended.final)
    assert ended.final["accepted"] == ended.final["processed"] == 3
    assert "gave up" not in ended.stderr
