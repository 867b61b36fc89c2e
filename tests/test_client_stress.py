"""``clients.stress`` from end to end, against a stage in miniature that can be made to lie."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio

from clients import stress
from clients.http import ClientError
from clients.loads import Load
from clients.report import heading
from clients.spawn import spawned
from clients.stress import measure, measure_spawned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LOAD = Load(requests=60, concurrency=8, users=3)


class Miniature:
    """A stage: a bounded queue, a worker, a ledger, and an HTTP server of forty lines.

    Attributes:
        lie: the nth job (from 1) is counted as processed and forgotten.
        drop: the connection of the nth event is closed instead of a reply.
        hang: the nth event is never answered.
        leave: the server ends with the nth event.
    """

    def __init__(self, stage: int, *, capacity: int = 20, work_s: float = 0.001) -> None:
        self.stage, self.capacity, self.work_s = stage, capacity, work_s
        self.lie = self.drop = self.hang = self.leave = 0
        self.balances: dict[str, int] = {"user0": 1000}
        self.send, self.receive = trio.open_memory_channel[dict[str, Any]](capacity)
        self.received = self.accepted = self.rejected = self.processed = self.in_hand = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            self.scope = nursery.cancel_scope
            nursery.start_soon(self.work)
            await nursery.start(trio.serve_listeners, self.handle, [listener])
            yield f"http://127.0.0.1:{port}"
            nursery.cancel_scope.cancel()

    async def work(self) -> None:
        async for event in self.receive:
            self.in_hand = 1
            await trio.sleep(self.work_s)
            self.in_hand, self.processed = 0, self.processed + 1
            if self.processed != self.lie:
                user = event["user"]
                self.balances[user] = self.balances.get(user, 0) + event["amount"]

    def stats(self) -> dict[str, Any]:
        zeros = dict.fromkeys(("invalid", "failed", "abandoned", "waiting"), 0)
        queued = self.send.statistics().current_buffer_used
        return zeros | {
            "stage": self.stage,
            "config": {"work_ms": self.work_s * 1000, "capacity": self.capacity},
            "received": self.received,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "processed": self.processed,
            "queued": queued,
            "in_hand": self.accepted - self.processed - queued,
            "capacity": self.capacity,
            "workers": 1,
        }

    def event(self, body: bytes) -> tuple[int, Any]:
        self.received += 1
        if self.received == self.leave:
            self.scope.cancel()
        try:
            self.send.send_nowait(json.loads(body))
        except trio.WouldBlock:
            self.rejected += 1
            return 503, {"status": "rejected", "reason": "server_busy"}
        self.accepted += 1
        return 202, {"status": "accepted"}

    async def handle(self, stream: trio.SocketStream) -> None:
        data = b""
        while more := await stream.receive_some():
            data += more
            head, _, body = data.partition(b"\r\n\r\n")
            method, path = head.split()[:2]
            if method == b"POST" and not body:
                continue  # not all of it yet: head and body are sent, but need not come, as one
            data = b""
            if method == b"POST":
                status, content = self.event(body)
                if self.received == self.drop:
                    return
                if self.received == self.hang:
                    await trio.sleep_forever()
            else:
                status, content = 200, self.stats() if path == b"/stats" else self.balances
            text = json.dumps(content).encode()
            await stream.send_all(
                b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text)
            )


async def test_honest_stage_has_an_ok_ledger_twice() -> None:
    stage = Miniature(5)
    async with stage.serving() as url:
        first = await measure(5, LOAD, url)
        second = await measure(5, LOAD, url)
    for report in (first, second):
        assert report.differences == ()
        assert report.result.accepted + report.result.rejected == 60
        assert report.result.accepted >= 21  # the queue, and one in hand
        assert report.drain is not None
        assert report.drain.stats["queued"] == report.drain.stats["in_hand"] == 0
    assert stage.accepted == first.result.accepted + second.result.accepted


async def test_lost_job_is_found() -> None:
    stage = Miniature(5)
    stage.lie = 4  # the first job of user0 to come round again: 0, 1, 2, 0
    async with stage.serving() as url:
        report = await measure(5, Load(requests=6, concurrency=1, users=3), url)
    assert report.differences == (
        "user0: balance rose by 10, expected 20",
        "all balances: rose by 50, with 6 x 10 processed",
    )
    assert "Ledger: DIFFERS\n  user0: balance rose by 10, expected 20" in report.text()


async def test_what_an_earlier_load_has_left_is_waited_for() -> None:
    """Its jobs would count as ours."""
    async with Miniature(5, work_s=0.01).serving() as url:
        with trio.CancelScope() as earlier:

            def left_in_the_drain(what: str, done: int, total: int) -> None:
                if what == "drain":
                    earlier.cancel()

            await measure(5, LOAD, url, on_progress=left_in_the_drain)
        assert earlier.cancelled_caught
        report = await measure(5, LOAD, url)
    assert report.differences == ()
    assert report.result.accepted >= 21


async def test_an_earlier_load_that_does_not_end_is_one_line() -> None:
    stage = Miniature(5, work_s=1000)
    async with stage.serving() as url:
        stage.event(b"{}")
        with pytest.raises(ClientError, match="does not finish what it has: 0 waiting, 0 queued"):
            await measure(5, LOAD, url, stall_s=0.1)


async def test_some_other_server_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Miniature(5)
    monkeypatch.setattr(stage, "stats", lambda: {"uptime": 1})
    async with stage.serving() as url:
        with pytest.raises(ClientError, match="those of some other server"):
            await measure(5, LOAD, url)
    assert stage.received == 0


async def test_dropped_connection_is_an_unknown_and_no_difference() -> None:
    stage = Miniature(5)
    stage.drop = 7
    async with stage.serving() as url:
        report = await measure(5, LOAD, url)
    assert (report.result.errors, report.result.unknown) == (1, 1)
    assert report.ok
    assert "Errors:       1 (1 without a reply)" in report.text()


async def test_wait_for_a_reply_that_never_comes_is_no_part_of_the_flood() -> None:
    """In it the whole queue is worked off: these jobs would count as done during the flood."""
    stage = Miniature(5)
    stage.hang = 7
    async with stage.serving() as url:
        report = await measure(5, LOAD, url, stall_s=1)
    assert report.ok
    assert report.result.unknown == 1
    assert report.during_flood_per_s is None
    assert "During flood:" not in report.text()


async def test_server_that_leaves_amid_the_flood_is_reported() -> None:
    stage = Miniature(5)
    stage.leave = 30
    report = None
    async with trio.open_nursery() as nursery:

        async def serve(task_status: trio.TaskStatus[str]) -> None:
            async with stage.serving() as url:
                task_status.started(url)
                await trio.sleep_forever()

        url = await nursery.start(serve)
        report = await measure(5, LOAD, url)
    result = report.result
    assert report.differences[0].startswith("not checked: no reply from")
    assert result.accepted + result.rejected + result.errors == 60
    assert result.unknown <= 8  # no more than were on their way
    assert result.sent < 60


async def test_backlog_that_stops_is_given_up() -> None:
    stage = Miniature(5, work_s=1000)
    async with stage.serving() as url:
        report = await measure(5, LOAD, url, stall_s=1)  # no pause of the machine
    assert any(difference.startswith("nothing was done for") for difference in report.differences)


async def test_stage_without_stats_is_an_echo() -> None:
    async def echo(stream: trio.SocketStream) -> None:
        while data := await stream.receive_some():
            body = data.partition(b"\r\n\r\n")[2]
            body = body.replace(b"user2", b"user1")
            await stream.send_all(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, echo, [listener])
        for users, ok in ((2, True), (3, False)):
            load = Load(requests=30, concurrency=3, users=users)
            report = await measure(2, load, f"http://127.0.0.1:{port}")
            assert report.ok is ok
            assert ("Echo: OK" in report.text()) is ok
        nursery.cancel_scope.cancel()


async def test_the_documents_block_and_the_json() -> None:
    async with Miniature(7).serving() as url:
        report = await measure(7, LOAD, url)
    assert heading(7, LOAD) == (
        "=== Stage 7: Lock Contention Stress Test ===\nTotal requests: 60\nConcurrency: 8"
    )
    lines = report.text().splitlines()
    assert lines[0] == "=== Results ==="
    assert [line.partition(":")[0] for line in lines[1:8]] == [
        "Duration",
        "Throughput",
        "Avg latency",
        "",
        "Accepted",
        "Rejected",
        "Errors",
    ]
    assert lines[6].endswith(" (backpressure)")
    assert lines[-1] == "Ledger: OK"
    content = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert content["ok"]
    assert content["accepted"] + content["rejected"] == 60
    assert content["model"]["rate_per_s"] == pytest.approx(1000)
    assert content["load"]["users"] == 3
    assert content["latency_ms"]["p50"] <= content["latency_ms"]["p99"]


async def test_spawned_stage_is_checked_to_its_last_line() -> None:
    report = await measure_spawned(3, LOAD, ["--max-connections", "50"])
    assert report.differences == ()
    assert report.exit_status == 0
    assert report.final is not None
    assert report.final["accepted"] == 60
    assert report.stats is not None
    assert report.stats["config"]["max_connections"] == 50


async def test_stage_4_replies_with_its_balances() -> None:
    load = Load(requests=10, concurrency=10, users=2)
    report = await measure_spawned(4, load, ["--work-ms", "1"])
    assert report.differences == ()
    assert report.model is not None
    assert report.model.rate_per_s == 1000
    async with Miniature(4).serving() as url:  # which tells nobody a balance
        report = await measure(4, load, url)
    assert [difference.partition(":")[0] for difference in report.differences] == ["user0", "user1"]


async def test_server_that_does_not_start_is_one_line() -> None:
    with pytest.raises(ClientError, match="did not start"):
        async with spawned(5, ["--no-such-option"]):
            pass


async def test_spawned_stage_never_outlives_its_client() -> None:
    with trio.CancelScope() as scope:
        async with spawned(2) as server:
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert server.exit_status is not None
    with pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream("127.0.0.1", int(server.url.rpartition(":")[2]))


def test_command_warns_of_another_stage_and_writes_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fake(stage: int, load: Load, url: str, **options: Any) -> Any:
        async with Miniature(6).serving() as url:
            return await measure(stage, load, url, **options)

    monkeypatch.setattr(stress, "measure", fake)
    file = tmp_path / "report.json"
    assert stress.main(["7", "--requests", "20", "--concurrency", "4", "--json", str(file)]) == 0
    out, err = capsys.readouterr()
    assert err == "warning: the server is stage 6, not 7\n"
    assert out.startswith("=== Stage 7: Lock Contention Stress Test ===\nTotal requests: 20\n")
    assert out.endswith("Ledger: OK\n")
    assert json.loads(file.read_text())["server_stage"] == 6


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["11"],
        ["5", "--rate", "0"],
        ["5", "--requests", "x"],
        ["5", "--", "--work-ms", "1"],
        ["5", "--verbose"],
        ["5", "--amount", "0"],
        ["5", "--amount", str(2**63)],
    ],
)
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        stress.main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m clients.stress" in capsys.readouterr().err
