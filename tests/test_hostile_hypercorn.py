"""What ``docs/hypercorn.md`` says beside the hostile table: ours first, then Hypercorn."""

from __future__ import annotations

from contextlib import suppress

import h2.config
import h2.connection
import h2.events
import pytest
import trio
from hostile import EVENT, HANDSHAKE, ROWS
from hostile_hosts import hypercorn, ours, replies
from support import PATIENCE_S
from support_http import CHUNKED, HOST, POST, framed, post

from trio_stages import connection
from trio_stages.telemetry import Telemetry

HEALTH = framed(b"GET /health HTTP/1.1", HOST)
STATS = framed(b"GET /stats HTTP/1.1", HOST)
#: A timeout that is waited for, and a time in which it has certainly passed.
SOON_S, LATER_S = 0.1, 0.5


async def told(port: int, *data: bytes, within_s: float = PATIENCE_S) -> tuple[bytes, float]:
    """What comes until the server ends the connection, and when it did.

    Raises:
        TooSlowError: it did not, within that time.
    """
    received = bytearray()
    with trio.fail_after(within_s):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            started = trio.current_time()
            for part in data:
                await stream.send_all(part)
            with suppress(trio.BrokenResourceError):
                while part := await stream.receive_some():
                    received += part
            return bytes(received), trio.current_time() - started


async def test_a_refusal_is_bare_and_not_counted() -> None:
    bad = ROWS["a field without a colon"].send
    async with ours(3) as (port, telemetry):
        assert replies((await told(port, bad))[0]) == ["400 invalid_http"]
        assert telemetry.ledger.statistics().http_errors == 1
    async with hypercorn(3) as (port, telemetry):
        assert replies((await told(port, bad))[0]) == ["400"]
        assert telemetry.ledger.statistics().http_errors == 0


async def test_a_slow_head_ends_with_the_idle_timeout_and_without_a_reply() -> None:
    timeouts = {"header_timeout": SOON_S, "idle_timeout": 3 * SOON_S}
    async with ours(3, **timeouts) as (port, _):
        received, elapsed_s = await told(port, HEALTH[:-2])
        assert replies(received) == ["408 request_timeout"]
        assert elapsed_s >= SOON_S / 2
    async with hypercorn(3, **timeouts) as (port, _):
        received, elapsed_s = await told(port, HEALTH[:-2])
        assert received == b""
        assert elapsed_s >= 2 * SOON_S  # it counts from the accept


async def test_a_slow_body_has_the_same_timeout() -> None:
    for host in (ours, hypercorn):
        async with host(3, body_timeout=SOON_S) as (port, telemetry):
            received, elapsed_s = await told(port, post(EVENT)[:-1])
            assert replies(received) == ["408 request_timeout"]
            assert elapsed_s >= SOON_S
            assert telemetry.ledger.statistics().http_errors == 1


async def test_a_chunk_that_announces_too_much_is_waited_for() -> None:
    announced = framed(POST, HOST, CHUNKED, body=b"fffffff\r\n")
    for host, reply in ((ours, "413 payload_too_large"), (hypercorn, "408 request_timeout")):
        async with host(3, body_timeout=SOON_S) as (port, _):
            assert replies((await told(port, announced))[0]) == [reply]


async def test_a_length_that_announces_too_much_is_not_but_gets_its_100_continue() -> None:
    announced = framed(POST, HOST, b"Content-Length: 9999999", b"Expect: 100-continue")
    for host, hundreds in ((ours, 0), (hypercorn, 1)):
        async with host(3) as (port, _):
            received, _ = await told(port, announced)
            assert replies(received) == ["413 payload_too_large"]
            assert received.count(b"HTTP/1.1 100 ") == hundreds


async def test_a_client_that_never_reads_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 30_000_000  # more than the kernel takes
    monkeypatch.setattr(connection, "WRITE_TIMEOUT_BYTES", 2 * size)
    monkeypatch.setattr(Telemetry, "stats", lambda self: "x" * size)
    for host, all_of_it in ((ours, False), (hypercorn, True)):
        async with (
            host(3, write_timeout=SOON_S) as (port, _),
            await trio.open_tcp_stream("127.0.0.1", port) as stream,
        ):
            await stream.send_all(STATS)
            received = len(await stream.receive_some(1))  # from here on it waits for us
            await trio.sleep(LATER_S)
            with suppress(trio.BrokenResourceError):
                while received < size and (part := await stream.receive_some()):
                    received += len(part)
            assert (received >= size) is all_of_it


async def test_connections_are_not_limited() -> None:
    for host, reply in ((ours, "503 too_many_connections"), (hypercorn, "200")):
        async with (
            host(3, max_connections=1) as (port, telemetry),
            await trio.open_tcp_stream("127.0.0.1", port) as first,
        ):
            await first.send_all(HEALTH)
            assert await first.receive_some()
            received, _ = await told(
                port, STATS.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
            )
            assert replies(received) == [reply]
            assert telemetry.connections == telemetry.connections_refused == (reply[0] == "5")


async def test_http_1_0_is_never_kept_alive() -> None:
    kept = framed(b"GET /health HTTP/1.0", b"Connection: keep-alive")
    async with ours(3, idle_timeout=SOON_S) as (port, _):
        received, elapsed_s = await told(port, kept)
        assert b"\r\nConnection: keep-alive\r\n" in received
        assert elapsed_s >= SOON_S
    async with hypercorn(3) as (port, _):
        received, _ = await told(port, kept)
        assert b"keep-alive" not in received.lower()


async def test_a_handshake_that_is_refused_stays_open() -> None:
    handshake = framed(b"GET /health HTTP/1.1", HOST, *HANDSHAKE[:3])
    async with ours(3, idle_timeout=SOON_S) as (port, _):
        assert replies((await told(port, handshake))[0]) == ["200"]
    async with hypercorn(3, idle_timeout=SOON_S) as (port, _):
        with pytest.raises(trio.TooSlowError):
            await told(port, handshake, within_s=LATER_S)


async def test_a_refused_client_that_goes_on_is_reset() -> None:
    announced = framed(POST, HOST, b"Content-Length: 9999999")
    for host, reads_on in ((ours, True), (hypercorn, False)):
        async with (
            host(3) as (port, _),
            await trio.open_tcp_stream("127.0.0.1", port) as stream,
        ):
            await stream.send_all(announced)
            assert await stream.receive_some()
            with trio.move_on_after(LATER_S) as scope, suppress(trio.BrokenResourceError):
                while True:
                    await stream.send_all(b"x")
                    await trio.sleep(SOON_S / 10)
            assert scope.cancelled_caught is reads_on


async def test_a_last_reply_is_not_lost_to_the_request_behind_it() -> None:
    async with hypercorn(3) as (port, telemetry):
        telemetry.begin_draining()
        for _ in range(30):  # for it depends on which of two tasks comes first
            received, _ = await told(port, post(EVENT) + HEALTH)
            assert replies(received) == ["accepted"]


async def test_http_2_is_answered() -> None:
    async with hypercorn(3, max_body_bytes=1000) as (port, _):
        bodies = (EVENT, b"{}", EVENT.ljust(1001))
        assert await statuses_over_http_2(port, bodies) == [200, 400, 413]


async def statuses_over_http_2(port: int, bodies: tuple[bytes, ...]) -> list[int]:
    """The replies to these bodies, each in a stream of its own, at the same time."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="ascii"))
    connection.initiate_connection()
    for number, body in enumerate(bodies):
        stream_id = 2 * number + 1
        connection.send_headers(
            stream_id,
            [(":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", "test")],
        )
        connection.send_data(stream_id, body, end_stream=True)
    statuses: dict[int, int] = {}
    ended = 0
    with trio.fail_after(PATIENCE_S):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            while ended < len(bodies):
                await stream.send_all(connection.data_to_send())
                for event in connection.receive_data(await stream.receive_some()):
                    if isinstance(event, h2.events.ResponseReceived):
                        fields = {str(name): str(value) for name, value in event.headers}
                        statuses[event.stream_id] = int(fields[":status"])
                    elif isinstance(event, h2.events.StreamEnded):
                        ended += 1
    return [status for _, status in sorted(statuses.items())]
