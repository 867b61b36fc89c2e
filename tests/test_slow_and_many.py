"""Slow clients and many connections: the experiments of ``clients.soak`` in short, and what they
found in the server, each in the smallest form that shows it.

Facts and ratios; where there is a bound in seconds it is far beyond what a busy machine needs.
"""

from __future__ import annotations

import json
import platform
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import trio
from support import PATIENCE_S, ROOT, job
from support_http import HOST, Watched, framed, healthy

from clients import overrun, slowloris, soak
from clients.claims import Claim, released
from clients.http import Connection, Target
from clients.idle import idle
from clients.overrun import beyond, descriptors
from clients.slowloris import KINDS, besiege, slow
from clients.spawn import spawned
from clients.witness import drain
from trio_stages.connection import LAST_CALL_S
from trio_stages.options import Settings
from trio_stages.replies import HEALTHY, Reply
from trio_stages.runner import bind
from trio_stages.server import LAST_ACCEPT_S, RESERVE, serve_http
from trio_stages.turns import REQUESTS_A_TURN

if TYPE_CHECKING:
    from pathlib import Path

    from trio_stages.connection import Client
    from trio_stages.messages import Request

REQUEST = framed(b"GET /health HTTP/1.1", HOST)


def broken(claims: list[Claim]) -> list[Claim]:
    return [claim for claim in claims if not claim.holds]


# The experiments


async def test_slow_clients_are_evicted_and_the_good_one_is_served() -> None:
    timeouts_s = {"header": 0.4, "body": 0.6, "idle": 0.8, "write": 0.4}
    seen = await slow(24, windows=1, window_s=2.0, timeouts_s=timeouts_s)
    assert seen.unanswered == seen.left == 0
    for kind, (count, least_s, longest_s) in seen.waited_s.items():
        assert count >= 24 / len(KINDS), kind
        assert least_s >= timeouts_s[kind] - slowloris.EARLY_S, kind
        assert longest_s < timeouts_s[kind] + PATIENCE_S, kind
    before, _, after = seen.resident_bytes
    assert after <= 1.2 * before


async def test_idle_connections_are_cheap_and_do_not_hold_up_a_stop() -> None:
    seen = await idle(400)
    assert seen.held == 400
    before, full, _, _ = seen.resident_bytes
    # Twice what one of ten thousand takes: memory comes in steps of a megabyte.
    assert (full - before) / 400 < 15_000
    assert seen.left == (0, 0)
    assert seen.reset == seen.exit_status == 0
    assert seen.stop_s < PATIENCE_S


async def test_a_stop_amid_a_flood_loses_nothing() -> None:
    assert not broken((await drain(runs=2, concurrency=80, seed=7)).claims())


async def test_beyond_the_limit_clients_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overrun, "ADVANCE_S", 0.5)
    assert not broken((await beyond(allowed=40, arriving=200, duration_s=2.0)).claims())


async def test_out_of_descriptors_the_server_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overrun, "ADVANCE_S", 0.5)
    assert not broken((await descriptors(limit=40, arriving=80, duration_s=0.5)).claims())


# What they found


async def hog(turn_s: float) -> None:
    """Make every turn of the loop last so long."""
    while True:
        time.sleep(turn_s)  # noqa: ASYNC251 - the loop is to be late
        await trio.lowlevel.checkpoint()


async def stop_with(requests: int, settings: Settings, *, turn_s: float) -> list[bytes]:
    """Let clients send requests which no server has seen, stop it, and return what they got.

    Args:
        requests: each on a connection of its own.
        settings: of the server.
        turn_s: how long each turn of the loop takes at least.
    """
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=requests)
    address = listener.socket.getsockname()
    stop = trio.Event()

    async def serve(*, task_status: trio.TaskStatus[None]) -> None:
        await serve_http(listener, healthy, Watched(settings), stop, task_status=task_status)
        hogging.cancel_scope.cancel()

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as hogging:
            await hogging.start(serve)
            # No checkpoint until all have sent: they stand in the kernel's queue.
            clients = [socket.create_connection(address) for _ in range(requests)]
            for client in clients:
                client.sendall(REQUEST)
                client.setblocking(False)
            stop.set()
            hogging.start_soon(hog, turn_s)
            async with trio.open_nursery() as nursery:
                replies: list[bytes] = []
                for client in clients:
                    nursery.start_soon(read_all, client, replies)
    return replies


async def read_all(client: socket.socket, replies: list[bytes]) -> None:
    """Take what the server sends until it ends the connection."""
    reply = b""
    with client:
        while True:
            await trio.lowlevel.wait_readable(client)
            data = client.recv(65_536)
            if not data:
                break
            reply += data
    replies.append(reply)


async def test_a_stop_answers_whoever_is_in_the_queue_of_the_kernel() -> None:
    number = 3 * RESERVE
    settings = Settings(stage=3, max_connections=RESERVE)
    # Time for five of them, if each took a turn of the loop.
    replies = await stop_with(number, settings, turn_s=LAST_ACCEPT_S / 5)
    assert sorted(reply[:12] for reply in replies) == [b"HTTP/1.1 200"] * number


async def test_a_stop_answers_them_however_slow_the_loop_is() -> None:
    replies = await stop_with(5, Settings(stage=3), turn_s=1.5 * LAST_CALL_S)
    assert [reply[:12] for reply in replies] == [b"HTTP/1.1 200"] * 5


async def test_a_stop_answers_them_however_few_are_answered_in_a_turn() -> None:
    number, stop = 10 * REQUESTS_A_TURN, trio.Event()
    telemetry, hand = Watched(Settings(stage=3)), job()
    telemetry.ledger.accept(hand)
    telemetry.ledger.take(hand)  # there is somebody whom long turns would starve

    def respond(request: Request, client: Client) -> Reply:
        return HEALTHY

    async def serve(*, task_status: trio.TaskStatus[None]) -> None:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        addresses.append(listener.socket.getsockname())
        await serve_http(listener, respond, telemetry, stop, task_status=task_status)
        hogging.cancel_scope.cancel()

    addresses: list[tuple[str, int]] = []
    replies: list[bytes] = []
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as hogging:
            await hogging.start(serve)
            clients = [socket.create_connection(addresses[0]) for _ in range(number)]
            for client in clients:
                client.setblocking(False)
                client.send(REQUEST)
                await trio.lowlevel.wait_readable(client)
                client.recv(65_536)
            for client in clients:  # all at once, and the stop with them
                client.send(REQUEST)
            stop.set()
            hogging.start_soon(hog, LAST_CALL_S / 2)
            async with trio.open_nursery() as nursery:
                for client in clients:
                    nursery.start_soon(read_all, client, replies)
    assert [reply[:12] for reply in replies] == [b"HTTP/1.1 200"] * number


def test_the_kernel_keeps_little_for_a_client_that_does_not_read() -> None:
    with (
        bind("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as connection,
    ):
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.sendall(bytes(2_000_000))  # left to itself it would take it all


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others keep their own ways")
async def test_the_memory_of_large_bodies_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slowloris, "ARRIVE_S", 0.1)
    monkeypatch.setattr(slowloris, "UP_FRONT_BYTES", slowloris.BODY_BYTES - 1000)
    for kind in KINDS.keys() - {"body"}:
        monkeypatch.delitem(KINDS, kind)
    async with spawned(10, ["--body-timeout=1"]) as server:
        target = await Target.locate(server.url)
        with Connection(target) as control:
            await released(control)
        before = server.resident_bytes
        with_them = 0
        for _ in range(2):  # the C library keeps what it has been given back, the second time
            async with trio.open_nursery() as nursery:
                nursery.start_soon(besiege, target, 60, 0.2)
                await trio.sleep(0.8)
                with_them = max(with_them, server.resident_bytes)
            with Connection(target) as control:
                assert await released(control) == 0
        assert with_them > 1.4 * before
        assert server.resident_bytes < 1.2 * before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others keep their own ways")
def test_what_trio_reads_a_wakeup_into_is_no_large_buffer() -> None:
    """However full the heap is; a large one is at least one page fault each time."""
    code = """
import resource, socket
from trio_stages.memory import configure_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

configure_memory()
wakeup, _ = socket.socketpair()
wakeup.setblocking(False)
heap, before = [], faults()
for _ in range(60):
    heap.append(bytes(9_000))
    for _ in range(20):
        try:
            wakeup.recv(2**16)  # as trio/_core/_wakeup_socketpair.py
        except BlockingIOError:
            pass
print(faults() - before)
"""
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=ROOT)
    assert int(ended.stdout) < 60 * 20 / 4


# The command


@dataclass
class Result:
    figure: int

    def claims(self) -> list[Claim]:
        return [Claim("this is even", f"{self.figure}", self.figure % 2 == 0)]


@pytest.mark.parametrize(("figure", "status"), [(2, 0), (3, 1)])
def test_a_claim_that_does_not_hold_is_an_exit_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    figure: int,
    status: int,
) -> None:
    async def experiment(figure: int = 0, *, on_progress: object) -> Result:
        return Result(figure)

    monkeypatch.setattr(soak, "EXPERIMENTS", {"even": experiment, "other": experiment})
    monkeypatch.setattr(soak, "QUICK", {"even": {"figure": figure}})
    file = tmp_path / "soak.json"
    assert soak.main(["even", "--quick", "--json", str(file)]) == status
    verdict = "FAILS" if status else "ok   "
    assert capsys.readouterr().out == f"=== even\n{verdict} this is even\n      {figure}\n"
    claim = {"what": "this is even", "figures": str(figure), "holds": not status}
    assert json.loads(file.read_text()) == {"even": {"figure": figure, "claims": [claim]}}


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (trio.BrokenResourceError("reset"), "BrokenResourceError: reset"),
        (None, "it did not come to its end within 0.1 s"),
    ],
    ids=["an error", "no end"],
)
def test_an_experiment_that_comes_to_nothing_fails_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    trouble: Exception | None,
    said: str,
) -> None:
    async def broken(*, on_progress: object) -> Result:
        async with trio.open_nursery():
            if trouble is not None:
                raise trouble
            await trio.sleep_forever()
        raise AssertionError

    async def experiment(*, on_progress: object) -> Result:
        return Result(2)

    monkeypatch.setattr(soak, "EXPERIMENTS", {"broken": broken, "even": experiment})
    monkeypatch.setattr(soak, "LIMITS_S", {"broken": 0.1})
    file = tmp_path / "soak.json"
    assert soak.main(["--json", str(file)]) == 1
    out = capsys.readouterr().out
    assert f"=== broken\nFAILS to find anything out\n      {said}\n=== even\nok " in out
    found = json.loads(file.read_text())
    assert found["broken"] == {"failed": said}
    assert found["even"]["figure"] == 2


def test_an_experiment_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        soak.main(["nonsense"])
    assert ended.value.code == 2
    assert "there is no nonsense; choose from slow, idle" in capsys.readouterr().err
