"""``slow`` and ``garbage`` against servers of known behaviour, and what every command does."""

from __future__ import annotations

import dataclasses
import io
import json
import signal
import socket
import struct
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from clients import command, garbage, slow, stress
from clients.catalogue import ACCEPTED, CATALOGUE, VALID, Row, framed
from clients.garbage import probe, table
from clients.http import Connection, Target
from clients.slow import Observation, observe
from clients.spawn import spawned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
REFUSED = b'HTTP/1.1 400 x\r\nContent-Length: 16\r\n\r\n{"reason":"bad"}'
ROOT = Path(__file__).parent.parent


@asynccontextmanager
async def serving(handler: Callable[[trio.SocketStream], Awaitable[object]]) -> AsyncIterator[str]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, handler, [listener])
        yield f"http://127.0.0.1:{port}"
        nursery.cancel_scope.cancel()


async def answer(stream: trio.SocketStream) -> None:
    while data := await stream.receive_some():
        if data.endswith(b"\r\n\r\n"):
            await stream.send_all(OK)


@pytest.mark.parametrize("drip_s", [None, 0.001])
async def test_frozen_server_answers_when_the_silent_ones_leave(drip_s: float | None) -> None:
    one_at_a_time = trio.Lock()

    async def handler(stream: trio.SocketStream) -> None:
        async with one_at_a_time:
            await answer(stream)

    async with serving(handler) as url:
        seen = await observe(url, 3, timeout_s=0.1, drip_s=drip_s)
        # The longest wait of this machine for an answer that does come:
        while seen.answered_after_ms is None:
            seen = await observe(url, 3, timeout_s=seen.timeout_s * 2, drip_s=drip_s)
    assert seen.answered_beside_ms is None
    assert seen.status_after == 200
    assert seen.answered_after_ms > 0  # it may come before the last of them has left
    first, second = seen.lines()
    assert first == f"no answer within {seen.timeout_s:.1f} s: the server is frozen"
    assert second.endswith("ms after the silent clients left")


def test_only_a_server_that_answers_when_they_have_left_was_frozen_by_them() -> None:
    seen = Observation(
        connections=3,
        timeout_s=2.0,
        answered_beside_ms=None,
        status_beside=None,
        answered_after_ms=None,
        status_after=None,
    )
    assert seen.lines() == [
        "no answer within 2.0 s",
        "no answer within 2.0 s after the silent clients left",
    ]
    answered = replace(seen, answered_after_ms=1.1, status_after=200)
    assert answered.lines() == [
        "no answer within 2.0 s: the server is frozen",
        "answered 200 1.1 ms after the silent clients left",
    ]


async def test_concurrent_server_answers_beside_the_silent_ones() -> None:
    async with serving(answer) as url:
        seen = await observe(url, 3, timeout_s=10)
    assert seen.answered_beside_ms is not None
    assert seen.answered_after_ms is not None
    assert (seen.status_beside, seen.status_after) == (200, 200)
    assert seen.lines()[0].startswith("answered 200 after ")


BAD = Row(name="bad", send=framed(b"BAD"), status=400, reason="bad", close=True)


async def close_after(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    await stream.send_all(REFUSED)


async def keep(stream: trio.SocketStream) -> None:
    while await stream.receive_some():
        await stream.send_all(REFUSED)


async def only_close(stream: trio.SocketStream) -> None:
    await stream.receive_some()


async def twice(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    await stream.send_all(REFUSED + REFUSED)


async def twice_the_next_time(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    await stream.send_all(REFUSED)
    await twice(stream)


async def reset(stream: trio.SocketStream) -> None:
    await close_after(stream)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await stream.receive_some()


@pytest.mark.parametrize(
    ("handler", "status", "reason", "connection", "ok"),
    [
        (close_after, 400, "bad", "closed", True),
        (reset, 400, "bad", "closed", True),
        (keep, 400, "bad", "400 bad", False),
        (only_close, None, "closed", "closed", False),
        (twice, None, "bad reply: bytes after the reply", "closed", False),
        (twice_the_next_time, 400, "bad", "bad reply: bytes after the reply", False),
        (answer, 200, "(2 bytes)", "kept", False),
    ],
)
async def test_row_is_seen_as_it_is(
    handler: Callable[[trio.SocketStream], Awaitable[object]],
    status: int | None,
    reason: str,
    connection: str,
    ok: bool,
) -> None:
    async with serving(handler) as url:
        seen = await probe(await Target.locate(url), BAD, 5, timeout_s=10)
    assert (seen.status, seen.reason, seen.ok) == (status, reason, ok)
    assert seen.connection == connection
    assert seen.expected == "400 bad closed"
    assert ("DIFFERS" in table([seen])) is not ok
    assert f"  {connection}  " in table([seen])


@pytest.mark.parametrize(
    ("then", "connection", "ok"), [(OK, "kept", True), (REFUSED, "400 bad", False)]
)
async def test_a_connection_is_kept_only_if_the_next_request_is_answered_200(
    then: bytes, connection: str, ok: bool
) -> None:
    async def handler(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(REFUSED)
        await stream.receive_some()
        await stream.send_all(then)  # REFUSED: what was left of a body was taken for a request

    row = dataclasses.replace(BAD, close=False)
    async with serving(handler) as url:
        seen = await probe(await Target.locate(url), row, 5, timeout_s=10)
    assert (seen.connection, seen.ok) == (connection, ok)


async def test_nothing_is_expected_before_stage_3_and_silence_is_waited_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def silence(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with serving(silence) as url:
        seen = await probe(await Target.locate(url), BAD, None, timeout_s=2)
    assert (seen.status, seen.reason, seen.connection) == (None, "no answer in time", "hangs")
    assert seen.latency_ms == 2000
    assert seen.ok
    assert seen.expected == ""


def test_catalogue_names_are_unique_and_its_valid_rows_valid() -> None:
    assert len({row.name for row in CATALOGUE}) == len(CATALOGUE)
    assert json.loads(VALID)["amount"] == 1
    assert all(not row.close for row in CATALOGUE if row.status == ACCEPTED)
    (crowded,) = (row for row in CATALOGUE if row.name == "101 header fields")
    assert crowded.send.partition(b"\r\n\r\n")[0].count(b"\r\n") == 101


def test_garbage_on_a_real_stage(tmp_path: Path) -> None:
    file = tmp_path / "garbage.json"

    async def run() -> str:
        async with spawned(5) as server:
            client = [sys.executable, "-m", "clients.garbage", "--url", server.url]
            done = await trio.run_process(
                [*client, "--json", str(file)], capture_stdout=True, check=False, cwd=ROOT
            )
            return done.stdout.decode()

    out = trio.run(run)
    assert "the server still serves: 200" in out
    content = json.loads(file.read_text())
    assert content["stage"] == 5
    assert [row["name"] for row in content["rows"] if not row["ok"]] == []
    assert len(content["rows"]) == len(CATALOGUE)


@pytest.mark.parametrize(
    ("dies", "said"),
    [
        (False, "the server still serves: no reply after"),
        (True, "broken off at 'bad': no reply from"),
    ],
    ids=["hangs", "dies"],
)
def test_garbage_says_what_it_saw_of_a_server_that_hangs_or_dies(
    dies: bool,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "garbage.json"
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"

    async def stats_of(connection: Connection) -> dict[str, int]:
        if dies:
            listening.close()
        return {"stage": 5}

    monkeypatch.setattr(garbage, "CATALOGUE", (BAD,))
    monkeypatch.setattr(garbage, "stats_of", stats_of)
    with listening:
        assert garbage.main(["--url", url, "--timeout", "0.2", "--json", str(file)]) == 1
    assert said in capsys.readouterr().out
    assert json.loads(file.read_text())["serves"] is False


@pytest.mark.parametrize("url", ["http://a..b:80", f"http://{'x' * 64}:80", "http://127.0.0.1:0"])
def test_a_url_of_nothing_is_one_line(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert slow.main(["--url", url]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("main", [slow.main, garbage.main, lambda args: stress.main(["5", *args])])
def test_no_server_is_one_line(
    main: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert main(["--url", url]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Connection refused" in err


def test_progress_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    for terminal in (False, True):
        monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
        monkeypatch.setattr(stream, "isatty", lambda terminal=terminal: terminal)
        with command.progress() as update:
            update("drain", 3, 12)
        drawn.append(stream.getvalue())
    assert drawn[0] == ""
    assert "drain" in drawn[1]
    assert "25%" in drawn[1]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signal_ends_a_client_quietly(number: signal.Signals, status: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        url = f"http://127.0.0.1:{frozen.getsockname()[1]}"
        with subprocess.Popen(
            [sys.executable, "-m", "clients.slow", "--timeout", "600", "--url", url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()  # it is at work
            process.send_signal(number)
            _, err = process.communicate()
    assert process.returncode == status
    assert err == b""
