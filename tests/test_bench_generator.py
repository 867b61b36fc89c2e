"""The bench's own load: what it sends is what the loads promise, what it counts is what came."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import pytest
import trio
from support import PATIENCE_S

from clients import endurance as endurance_module
from clients.bench import generate, headline, loads, pinned, process, servers, sweeps
from clients.bench.compare import compare
from clients.bench.generator import (
    RESOLUTION_S,
    Client,
    Generator,
    event,
    message,
    messages,
    percentile_ms,
)
from clients.bench.loads import LENGTHS, PIPELINED, Load, Shape
from clients.bench.running import running
from clients.drain import read_stats
from clients.endurance import SHAPES, Endurance, endurance
from clients.http import ClientError, Connection, Target
from trio_stages.events import parse_event
from trio_stages.framing import RequestReader

if TYPE_CHECKING:
    from clients.claims import Claim
    from trio_stages.messages import Request

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, uses epoll")

# Long enough for a thousand requests.
SECONDS = 0.15


def sent(shape: Shape, pieces: int, users: int = 1) -> list[Request]:
    """What a server makes of the first so many pieces of a load."""
    reader = RequestReader()
    requests = []
    for piece in itertools.islice(messages(shape, "h:1", users), pieces):
        reader.feed(piece)
        while (request := reader.next_request()) is not None:
            parse_event(request.body)
            requests.append(request)
    assert not reader.buffered_bytes
    return requests


def test_every_shape_is_made_of_valid_events() -> None:
    for shape in get_args(Shape):
        assert sent(shape, 3)


def test_shapes() -> None:
    assert len({len(request.body) for request in sent("varying", 2 * LENGTHS)}) == LENGTHS
    assert len(set(itertools.islice(messages("unique", "h:1"), 1000))) == 1000
    assert len(sent("pipelined", 1)) == PIPELINED
    assert [request.head.keep_alive for request in sent("close", 2)] == [False, False]
    assert {request.body for request in sent("same", 3)} == {event("alice")}
    users = Counter(parse_event(request.body).user for request in sent("same", 6, users=3))
    assert users == {"user0": 2, "user1": 2, "user2": 2}


def test_percentiles_are_nearest_rank() -> None:
    counts = Counter({100: 98, 200: 1, 500: 1})  # in hundredths of a millisecond
    assert percentile_ms(counts, 0.50) == pytest.approx(1.0)
    assert percentile_ms(counts, 0.99) == pytest.approx(2.0)
    assert percentile_ms(counts, 1.0) == pytest.approx(5.0)
    assert percentile_ms({}, 0.5) == 0


def test_only_a_2xx_is_accepted() -> None:
    generator = Generator(("127.0.0.1", 1), "same", 1)
    generator.statuses.update({b"202": 7, b"503": 2, b"400": 1})
    summary = generator.summary(1.0)
    assert (summary["replies"], summary["refused"]) == (10, 3)


REPLIES = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 503 x\r\n\r\nHTTP/1.1 400"


@pytest.mark.parametrize("step", [1, 2, 11, 12, 13, len(REPLIES)])
def test_a_status_line_in_two_pieces_counts_once(step: int) -> None:
    with socket.socket() as unused:
        client = Client(unused)
        client.owed = 3
        pieces = [REPLIES[at : at + step] for at in range(0, len(REPLIES), step)]
        found = [status for piece in pieces for status in client.statuses(piece)]
    assert found == [b"202", b"503", b"400"]
    assert (client.owed, client.rest) == (0, b"")


@pytest.mark.parametrize(
    ("patience_s", "longest_s", "errors"),
    [
        (0.01, 0.0, 3),
        (3600.0, 0.0, 0),
        (0.01, 3600.0, 0),  # where others were answered after an hour
    ],
)
def test_who_waits_in_vain_at_the_end_is_an_error(
    monkeypatch: pytest.MonkeyPatch, patience_s: float, longest_s: float, errors: int
) -> None:
    monkeypatch.setattr("clients.bench.generator.PATIENCE_S", patience_s)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        generator = Generator(silent.getsockname(), "same", 3)
        generator.latencies[round(longest_s / RESOLUTION_S)] += 1
        generator.run(0.02)
    assert generator.errors == errors


async def test_what_it_counts_is_what_the_server_counts() -> None:
    async with running(servers.BY_NAME["ours"]) as server:
        target = await Target.locate(server.url)
        with Connection(target) as control:
            unread = 0
            for load in loads.LOADS:
                if load.connections > 50:
                    continue
                before = await read_stats(control)
                found = await generate.send("own", load, server.url, SECONDS)
                after = await read_stats(control)
                assert found["errors"] == 0
                assert found["replies"] > 100
                rise = after["received"] - before["received"]
                late = unread  # of the load before
                unread = load.connections * (PIPELINED if load.shape == "pipelined" else 1)
                assert found["replies"] <= rise <= found["replies"] + unread + late
                refused = after["rejected"] - before["rejected"]
                assert found["refused"] <= refused <= found["refused"] + unread + late
                assert 0 < found["p50_ms"] <= found["p99_ms"]


@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
async def test_wrk_sends_the_same() -> None:
    """Its script, one connection: what arrives is what our own generator would have sent."""
    arrived: dict[str, list[bytes]] = {}

    async def serve(shape: str, stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):  # it leaves without a word
            async for data in stream:
                arrived.setdefault(shape, []).append(bytes(data))
                reply = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
                await stream.send_all(reply * data.count(b"POST "))

    async def one(shape: Shape) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:

            async def handler(stream: trio.SocketStream) -> None:
                await serve(shape, stream)

            nursery.start_soon(trio.serve_listeners, handler, listeners)
            load = Load(name="", title="", shape=shape, connections=1)
            found = await generate.send("wrk", load, f"http://127.0.0.1:{port}", 1)
            nursery.cancel_scope.cancel()
        # The first one wrk takes to see how many requests there are in it.
        expected = list(itertools.islice(messages(shape, f"127.0.0.1:{port}"), 1, 300))
        assert arrived[shape][: len(expected)] == expected
        assert found["replies"] > 300
        assert found["refused"] == 0

    async with trio.open_nursery() as nursery:  # side by side: wrk takes whole seconds
        for shape in ("same", "unique", "varying", "pipelined"):
            nursery.start_soon(one, shape)


async def test_a_flood_that_goes_on_is_watched() -> None:
    found = await headline.sustained("own", 4 * SECONDS)
    assert found.ledger_ok
    assert found.jobs_per_s > 0


async def test_a_comparison_of_one() -> None:
    load = loads.BY_NAME["keepalive-50"]
    ours = servers.BY_NAME["ours"]
    absent = servers.Server(
        name="absent", title="", kind="bare", argv=ours.argv, packages=("no-such-package",)
    )
    broken = servers.Server(name="broken", title="", kind="bare", argv=("false",))
    found = await compare([ours, absent, broken], [load], rounds=2, seconds=SECONDS, tool="own")
    assert [sample.round for sample in found.samples] == [0, 1]
    assert found.absent.keys() == {"absent", "broken"}
    assert "ended with status 1" in found.absent["broken"]
    for sample in found.samples:
        assert sample.accepted > 100
        assert sample.cpu_us is not None
        assert 1 < sample.cpu_us < 10_000
        assert 10 < sample.resident_mb < 1000


async def test_nothing_to_compare() -> None:
    broken = servers.Server(name="broken", title="", kind="bare", argv=("false",))
    with pytest.raises(ClientError, match="broken: it ended with status 1"):
        await compare([broken], list(loads.LOADS), rounds=1, seconds=SECONDS, tool="own")


async def test_a_server_is_pinned_and_leaves_nothing_behind() -> None:
    cpu = frozenset([min(os.sched_getaffinity(0))])
    async with running(servers.BY_NAME["ours"], cpu) as server:
        assert os.sched_getaffinity(server.pid) == cpu
        pids = process.family(server.pid)
        assert pids == [server.pid]
        assert process.cpu_s(pids) > 0
    assert process.cpu_s(pids) == 0
    assert process.resident_bytes(pids) == 0
    assert pinned.command(None, ["true"])[-2:] == ["-", "true"]


async def test_the_children_of_a_server_count_and_end_with_it() -> None:
    naive = f"{sys.executable} -m clients.bench.peers.naive_trio {{port}}"
    server = servers.Server(
        name="parent", title="", kind="bare", argv=("sh", "-c", f"sleep 60 & exec {naive}")
    )
    async with running(server) as alone:
        parent, child = process.family(alone.pid)
        assert parent == alone.pid
        assert process.resident_bytes([parent, child]) > process.resident_bytes([parent])
        end = os.pidfd_open(child)
    with trio.fail_after(PATIENCE_S):
        await trio.lowlevel.wait_readable(end)
    os.close(end)


async def test_users_are_sent_until_each_was_accepted() -> None:
    """One place in the queue: nearly all are refused at first."""
    server = servers.stage(8, "--work-ms=0", "--hold-ms=0", "--offload=task", "--capacity=1")
    async with running(server) as alone:
        await trio.to_thread.run_sync(sweeps.send_for, alone.url, range(450))
        target = await Target.locate(alone.url)
        with Connection(target) as control:
            stats = await read_stats(control)
            assert stats["accepted"] == 451  # and the one that showed that it had started
            balances = await control.get_json("/balances")
    assert {f"user{n}" for n in range(450)} <= balances.keys()


async def test_a_short_endurance_goes_on_until_its_memory_can_be_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endurance_module, "SHAPES", SHAPES[:2])
    monkeypatch.setattr(endurance_module, "LEAST_READINGS", 3)
    found = await endurance(requests=100, turn_s=SECONDS / 5, tool="own")
    answered, _, books, released = (claim.holds for claim in found.claims())
    assert (answered, books, released) == (True, True, True)
    assert len(found.resident_bytes) == 3


def test_endurance_is_judged_by_its_second_half() -> None:
    books = {"received": 9, "accepted": 8, "rejected": 1, "invalid": 0, "processed": 8}
    seen = Endurance(
        wanted=9,
        requests=9,
        errors=0,
        accepted=8,
        resident_bytes=(),
        stats=books,
        left=(0, 0),
        exit_status=0,
    )

    def claims(*megabytes: int) -> list[Claim]:
        return replace(seen, resident_bytes=tuple(mb * 1_000_000 for mb in megabytes)).claims()

    def holds(*megabytes: int) -> list[bool]:
        return [claim.holds for claim in claims(*megabytes)]

    assert holds(40, 50, 50, 50, 51) == [True] * 4  # the first reading does not count
    assert holds(40, 50, 51, 52, 53) == [True, False, True, True]
    assert "(medians of 2 readings each;" in claims(40, 50, 50, 99, 50, 51)[1].figures
    for few in ((), (50,), (50, 90), (50, 90, 90), (50, 50, 50, 50)):
        assert holds(*few) == [True, False, True, True]  # nobody knows
        assert claims(*few)[1].figures == f"not observed: {len(few)} readings"
    assert message("h", b"{}").endswith(b"\r\n\r\n{}")
