"""One connection, in exact virtual time: who owes whom what, by when, and how it ends."""

from __future__ import annotations

import logging
import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest
import trio
from support import EVENT, Client
from support_http import (
    CHUNKED,
    HOST,
    NEXT,
    POST,
    byte_by_byte,
    chunked,
    framed,
    healthy,
    post,
    serving,
)
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from trio_stages import connection, replies

if TYPE_CHECKING:
    from trio_stages.connection import Client as Peer
    from trio_stages.connection import Respond
    from trio_stages.framing import Request
    from trio_stages.replies import Reply

REQUEST = post(EVENT)
BODY_TO_COME = REQUEST[: -len(EVENT)]
CLOSE = framed(b"GET /health HTTP/1.1", HOST, b"Connection: close")


# Over streams in memory, and over sockets, where another task may read and answer.
OVER_BOTH = pytest.mark.parametrize("tcp", [False, True], ids=["memory", "tcp"])


async def echo(request: Request, client: Peer) -> Reply:
    return replies.echo(request.body or request.head.path)


def working(work_s: float) -> Respond:
    async def respond(request: Request, client: Peer) -> Reply:
        await trio.sleep(work_s)
        return replies.HEALTHY

    return respond


async def rest(client: Client) -> bytes:
    """What the server sends until it ends the connection."""
    received = b""
    while data := await client.stream.receive_some():
        received += data
    return received


async def drip(client: Client, data: bytes) -> None:
    """Send a byte a second for as long as somebody takes them."""
    try:
        for byte in byte_by_byte(data):
            await trio.sleep(1)
            await client.send(byte)
    except trio.BrokenResourceError:
        pass


# Requests and replies


async def test_pipelined_requests_are_answered_in_order(autojump_clock: MockClock) -> None:
    async with serving(echo) as server, server.connect() as client:
        await client.send(post(b"one") + chunked(b"t", b"wo") + b"\r\n" + post(b"three") + NEXT)
        bodies = [(await client.response()).body for _ in range(4)]
        assert bodies == [b"one", b"two", b"three", b"/next"]


async def test_a_good_neighbour_in_front_of_bad_bytes_is_answered(
    autojump_clock: MockClock,
) -> None:
    async with serving(echo) as server, server.connect() as client:
        await client.send(post(b"one") + b"rubbish\r\n" + post(b"two"))
        assert (await client.response()).body == b"one"
        assert (await client.response()).status == 400
        assert await rest(client) == b""
        assert server.http_errors == 1


@pytest.mark.parametrize(
    "last",
    [CLOSE, framed(b"GET / HTTP/1.0"), framed(b"CONNECT a:1 HTTP/1.1", HOST)],
    ids=["close", "1.0", "CONNECT"],
)
async def test_nothing_is_answered_behind_the_last_request(
    autojump_clock: MockClock, last: bytes
) -> None:
    async with serving() as server, server.connect() as client:
        await client.send(NEXT + last + NEXT)
        assert "connection" not in (await client.response()).headers
        assert (await client.response()).headers["connection"] == "close"
        assert await rest(client) == b""


async def test_http_1_0_is_told_that_it_may_go_on(autojump_clock: MockClock) -> None:
    async with serving() as server, server.connect() as client:
        for _ in range(2):
            await client.send(framed(b"GET /health HTTP/1.0", b"Connection: Keep-Alive"))
            assert (await client.response()).headers["connection"] == "keep-alive"


async def test_who_expects_is_told_to_continue(autojump_clock: MockClock) -> None:
    async with serving(echo) as server, server.connect() as client:
        for _ in range(2):
            await client.send(post(b"hello", b"Expect: 100-continue")[:-5])
            assert await client.stream.receive_some() == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(b"hel")
            await client.send(b"lo")
            assert (await client.response()).body == b"hello"
        await client.send(post(b"hello", b"Expect: 100-continue"))
        assert (await client.response()).body == b"hello"


async def test_who_expects_what_is_too_large_is_told_that_instead(
    autojump_clock: MockClock,
) -> None:
    async with serving(max_body_bytes=4) as server, server.connect() as client:
        await client.send(post(b"hello", b"Expect: 100-continue")[:-5])
        assert (await client.response()).status == 413


async def test_after_half_a_close_the_reply_still_comes(autojump_clock: MockClock) -> None:
    async with serving(working(5)) as server, server.connect() as client:
        await client.send(NEXT + NEXT)
        await client.stream.send_eof()
        assert [(await client.response()).status for _ in range(2)] == [200, 200]
        assert await rest(client) == b""
        assert await server.all_gone() == 10.0
        assert server.http_errors == 0


async def test_a_client_may_stop_at_every_byte(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(echo) as server:
        for end in range(len(REQUEST) + 1):
            async with server.connect() as client:
                await client.send(REQUEST[:end])
                await client.stream.send_eof()
                reply = await rest(client)
            if end == 0:
                assert reply == b""
            elif end < len(REQUEST):
                assert b"invalid_http" in reply
            else:
                assert reply.endswith(EVENT)
            await server.all_gone()
        assert server.http_errors == len(REQUEST) - 1
        assert trio.current_time() == 0.0
    assert not caplog.records


@OVER_BOTH
async def test_a_client_may_vanish_at_every_byte(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, tcp: bool
) -> None:
    async with serving(echo, tcp=tcp) as server:
        for end in range(len(REQUEST) + 1):
            client = server.connect()
            await client.send(REQUEST[:end])
            await client.aclose()
            await server.all_gone()
        assert trio.current_time() == 0.0
    assert not caplog.records


# Time


@OVER_BOTH
@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n", NEXT[:7]], ids=["nothing", "blank", "some"])
async def test_the_head_has_ten_seconds_from_the_accept(
    autojump_clock: MockClock, sent: bytes, tcp: bool
) -> None:
    async with serving(tcp=tcp) as server, server.connect() as client:
        await client.send(sent or b"")
        reply = await client.response()
        assert (reply.status, reply.json["reason"]) == (408, "request_timeout")
        assert reply.headers["connection"] == "close"
        assert await rest(client) == b""
        assert trio.current_time() == 10.0
        assert server.http_errors == 1


@OVER_BOTH
async def test_a_first_byte_does_not_extend_it(autojump_clock: MockClock, tcp: bool) -> None:
    async with serving(tcp=tcp) as server, server.connect() as client:
        await trio.sleep(9.9)
        await client.send(NEXT[:1])
        assert (await client.response()).status == 408
        assert trio.current_time() == 10.0


@OVER_BOTH
@pytest.mark.parametrize(
    ("at_once", "dripping", "due_s"),
    [
        (b"", b"GET / HTTP/1.1\r\nHost: a very slow client", 10),
        (b"", b"\r\n" * 30, 10),
        (b"\r\n", b"\r" + b"G" * 30, 2),  # a bare CR, and then
        (BODY_TO_COME, b"x" * 40, 30),
        (framed(POST, HOST, CHUNKED), b"28\r\n" + b"x" * 40, 30),
        (framed(POST, HOST, CHUNKED), b"1\r\nx\r\n" * 10, 30),
        (framed(POST, HOST, CHUNKED) + b"0\r\n", b"a: b\r\n" * 10, 30),
        (NEXT, b"GET / HTTP/1.1\r\nHost: a very slow client", 11),
        (NEXT + BODY_TO_COME, b"x" * 40, 30),
    ],
    ids=[
        *("head", "empty lines", "bare CR", "body", "chunk", "chunks", "trailers"),
        *("next head", "next body"),
    ],
)
async def test_a_drip_does_not_extend_the_time(
    autojump_clock: MockClock, at_once: bytes, dripping: bytes, due_s: float, tcp: bool
) -> None:
    async with (
        serving(tcp=tcp) as server,
        server.connect() as client,
        trio.open_nursery() as nursery,
    ):
        await client.send(at_once)
        nursery.start_soon(drip, client, dripping)
        if at_once.startswith(NEXT):
            assert (await client.response()).status == 200
        assert (await client.response()).status == (400 if due_s == 2 else 408)
        assert trio.current_time() == due_s
        nursery.cancel_scope.cancel()


@OVER_BOTH
async def test_a_body_has_thirty_seconds_from_its_head(
    autojump_clock: MockClock, tcp: bool
) -> None:
    async with serving(tcp=tcp) as server, server.connect() as client:
        await client.send(BODY_TO_COME[:-1])
        await trio.sleep(9)
        await client.send(BODY_TO_COME[-1:])
        await trio.sleep(20)
        await client.send(EVENT[:-1])
        assert (await client.response()).status == 408
        assert trio.current_time() == 39.0


@OVER_BOTH
async def test_a_request_may_take_its_time_to_the_last_moment(
    autojump_clock: MockClock, tcp: bool
) -> None:
    async with serving(tcp=tcp) as server, server.connect() as client:
        await trio.sleep(9.999)
        await client.send(BODY_TO_COME)
        await trio.sleep(29.999)
        await client.send(EVENT)
        assert (await client.response()).status == 200


@OVER_BOTH
@pytest.mark.parametrize("blank", [b"", b"\r\n"], ids=["nothing", "empty lines"])
async def test_an_idle_connection_is_closed_without_a_word(
    autojump_clock: MockClock, blank: bytes, tcp: bool
) -> None:
    async with serving(working(7), tcp=tcp) as server, server.connect() as client:
        await client.send(NEXT)
        assert (await client.response()).status == 200
        await trio.sleep(59)
        await client.send(blank)
        assert await rest(client) == b""
        assert await server.all_gone() == 67.0
        assert server.http_errors == 0


@OVER_BOTH
async def test_the_next_head_has_ten_seconds_from_its_first_byte(
    autojump_clock: MockClock, tcp: bool
) -> None:
    async with serving(tcp=tcp) as server, server.connect() as client:
        await client.send(NEXT)
        assert (await client.response()).status == 200
        await trio.sleep(59)
        await client.send(NEXT[:1])
        assert (await client.response()).status == 408
        assert trio.current_time() == 69.0


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels have other urgent bytes")
async def test_what_lies_behind_an_urgent_byte_is_no_way_around_the_timeouts(
    autojump_clock: MockClock,
) -> None:
    async with serving(tcp=True) as server, server.connect() as client:
        assert isinstance(client.stream, trio.SocketStream)
        await client.send(NEXT)
        assert (await client.response()).status == 200
        with socket.socket(fileno=os.dup(client.stream.socket.fileno())) as same:
            same.send(NEXT)
            same.send(b"!", socket.MSG_OOB)  # a read ends short of it, and looks like the last
            same.send(NEXT[:1])
        with trio.fail_after(1000):
            assert (await client.response()).status == 200
            assert (await client.response()).status == 408
        assert trio.current_time() == 60.0 + 10.0


@OVER_BOTH
async def test_no_clock_runs_against_a_client_who_waits(
    autojump_clock: MockClock, tcp: bool
) -> None:
    async with serving(working(1000), tcp=tcp) as server, server.connect() as client:
        await client.send(NEXT + NEXT[:5])
        assert (await client.response()).status == 200
        assert trio.current_time() == 1000.0
        assert (await client.response()).status == 408
        assert trio.current_time() == 1010.0


async def test_a_reply_that_nobody_takes(autojump_clock: MockClock) -> None:
    async with serving(working(5)) as server, server.connect(lockstep=True) as client:
        await client.send(NEXT)
        assert await server.all_gone() == 15.0


@pytest.mark.parametrize(
    ("sent", "gone_s"), [(b"hello\r\n", 10.0), (NEXT[:5], 20.0)], ids=["refused", "timed out"]
)
async def test_a_refusal_that_nobody_takes(
    autojump_clock: MockClock, sent: bytes, gone_s: float
) -> None:
    async with serving() as server, server.connect(lockstep=True) as client:
        await client.send(sent)
        assert await server.all_gone() == gone_s


@OVER_BOTH
async def test_a_request_complete_at_its_very_timeout_is_not_half_answered(
    mock_clock: MockClock, tcp: bool
) -> None:
    answered = []

    async def respond(request: Request, client: Peer) -> Reply:
        answered.append("begun")
        await trio.lowlevel.checkpoint()
        answered.append("done")
        return replies.HEALTHY

    async with serving(respond, tcp=tcp) as server, server.connect() as client:
        await client.send(NEXT[:-1])
        await wait_all_tasks_blocked()
        await client.send(NEXT[-1:])
        mock_clock.jump(10)  # before the server's next step: it may find either of them first
        if (await client.response()).status == 408:
            assert answered == []
        else:
            assert answered == ["begun", "done"]


@pytest.mark.parametrize("_", range(8))
async def test_a_reply_taken_at_its_very_timeout_is_the_last(mock_clock: MockClock, _: int) -> None:
    ours, theirs = memory_stream_pair()
    take, taken = trio.Event(), []

    class Slow(trio.abc.Stream):
        receive_some = theirs.receive_some
        wait_send_all_might_not_block = theirs.wait_send_all_might_not_block
        aclose = theirs.aclose

        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            await take.wait()
            taken.append(data)

    async with serving() as server, Client(ours) as client:
        server.listener.admit(Slow())
        await client.send(NEXT + NEXT[:5])
        await wait_all_tasks_blocked()
        take.set()
        mock_clock.jump(10)  # before the server's next step: it may find either of them first
        mock_clock.autojump_threshold = 0
        # In time it goes on, and the next head is late; else it does not.
        assert (await server.all_gone(), len(taken)) in ((20.0, 2), (10.0, 1))


@pytest.mark.parametrize("_", range(8))
async def test_what_came_behind_a_request_is_in_time_however_long_the_turn(
    mock_clock: MockClock, _: int
) -> None:
    def respond(request: Request, client: Peer) -> Reply:
        if request.head.path == b"/long":
            mock_clock.jump(61)
        return replies.HEALTHY

    async with (
        serving(respond, tcp=True) as server,
        server.connect() as client,
        server.connect() as neighbour,
    ):
        for each in (client, neighbour):
            await each.send(NEXT)
            assert (await each.response()).status == 200
        await client.send(NEXT + NEXT)  # both are waited for, and told of in one turn
        await neighbour.send(NEXT.replace(b"next", b"long"))
        assert (await client.response()).status == 200
        assert (await client.response()).status == 200
        assert trio.current_time() == 61.0


@pytest.mark.parametrize(
    ("option", "sent", "due_s"),
    [
        ("header_timeout", b"", 3.5),
        ("body_timeout", BODY_TO_COME, 3.5),
        ("idle_timeout", NEXT, 3.5),
        ("write_timeout", NEXT, 3.5),
    ],
)
async def test_each_timeout_is_an_option(
    autojump_clock: MockClock, option: str, sent: bytes, due_s: float
) -> None:
    lockstep = option == "write_timeout"
    async with (
        serving(healthy, tcp=False, **{option: due_s}) as server,
        server.connect(lockstep=lockstep) as client,
    ):
        if sent:
            await client.send(sent)
        if not lockstep:
            await rest(client)
            assert trio.current_time() == due_s
            await client.aclose()
        assert await server.all_gone() == due_s


async def test_a_long_reply_has_the_write_timeout_for_each_part(autojump_clock: MockClock) -> None:
    def respond(request: Request, client: Peer) -> Reply:
        return replies.Reply(200, bytes(int(2.5 * connection.WRITE_TIMEOUT_BYTES)))

    async with serving(respond) as server, server.connect(lockstep=True) as client:
        await client.send(NEXT)
        assert await server.all_gone() == 3 * 10.0


# Ends


@OVER_BOTH
async def test_a_handler_that_crashes(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, tcp: bool
) -> None:
    async def respond(request: Request, client: Peer) -> Reply:
        if request.body == b"crash":
            raise ZeroDivisionError("secret")
        await trio.sleep(1)
        return replies.HEALTHY

    async with (
        serving(respond, tcp=tcp) as server,
        server.connect() as bad,
        server.connect() as neighbour,
    ):
        await neighbour.send(NEXT + NEXT)
        await bad.send(post(b"crash") + NEXT)
        reply = await bad.response()
        assert (reply.status, reply.json) == (500, {"status": "error", "reason": "internal_error"})
        assert reply.headers["connection"] == "close"
        assert await rest(bad) == b""
        assert [(await neighbour.response()).status for _ in range(2)] == [200, 200]
        assert server.http_errors == 1
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


@OVER_BOTH
async def test_a_reply_may_end_the_connection(autojump_clock: MockClock, tcp: bool) -> None:
    async def respond(request: Request, client: Peer) -> Reply:
        return replies.TOO_MANY_CONNECTIONS

    async with serving(respond, tcp=tcp) as server, server.connect() as client:
        await client.send(NEXT)
        assert (await client.response()).headers["connection"] == "close"
        await client.send(NEXT)  # as a client may that has not read this yet
        assert await rest(client) == b""
        assert await server.all_gone() == 1.0


@OVER_BOTH
async def test_a_last_request_with_nothing_behind_it_ends_at_once(
    autojump_clock: MockClock, tcp: bool
) -> None:
    async with serving(tcp=tcp) as server, server.connect() as client:
        await client.send(CLOSE)
        assert await server.all_gone() == 0.0
        assert (await client.response()).status == 200


@OVER_BOTH
@pytest.mark.parametrize("sent", [b"hello\r\n", CLOSE + b"more"], ids=["refused", "has more"])
async def test_who_may_still_be_sending_is_heard_for_a_second(
    autojump_clock: MockClock, sent: bytes, tcp: bool
) -> None:
    async with (
        serving(tcp=tcp) as server,
        server.connect() as client,
        trio.open_nursery() as nursery,
    ):
        await client.send(sent)
        nursery.start_soon(drip, client, b"x" * 100)
        await client.response()
        assert await rest(client) == b""  # we have said all, but we listen
        assert trio.current_time() == 0.0
        assert await server.all_gone() == 1.0
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("_", range(8))
async def test_a_refusal_at_the_very_timeout_is_heard_for_a_second(
    mock_clock: MockClock, _: int
) -> None:
    async with serving() as server, server.connect() as client:
        await wait_all_tasks_blocked()
        await client.send(b"hello\r\n")
        mock_clock.jump(10)  # before the server's next step: it may find either of them first
        assert (await client.response()).status in (400, 408)
        assert await rest(client) == b""
        mock_clock.autojump_threshold = 0
        assert await server.all_gone() == 11.0


async def test_who_never_stops_sending_is_cut_off(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LINGER_BYTES", 1_000_000)
    taken = 0
    async with serving() as server, server.connect(lockstep=True) as client:
        await client.send(b"hello\r\n")
        assert (await client.response()).status == 400
        with pytest.raises(trio.BrokenResourceError):  # noqa: PT012
            while True:
                await client.send(b"x" * 50_000)
                taken += 50_000
        assert await server.all_gone() == 0.0
    assert taken == 1_000_000


async def test_a_stream_that_cannot_be_half_closed_is_just_closed(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = memory_stream_pair()

    class Whole(trio.abc.Stream):
        send_all = theirs.send_all
        receive_some = theirs.receive_some
        wait_send_all_might_not_block = theirs.wait_send_all_might_not_block
        aclose = theirs.aclose

    async with serving() as server, Client(ours) as client:
        server.listener.admit(Whole())
        await client.send(b"hello\r\n")
        assert (await client.response()).status == 400
        assert await rest(client) == b""
        assert await server.all_gone() == 0.0


# Is the client still there?


class Waiting:
    """A handler that waits for its client to go, for so long at most."""

    def __init__(self, timeout_s: float = 100) -> None:
        self._timeout_s = timeout_s
        self.gone_at: list[float] = []

    async def __call__(self, request: Request, client: Peer) -> Reply:
        with trio.move_on_after(self._timeout_s):
            await client.gone()
            self.gone_at.append(trio.current_time())
        return replies.echo(request.body)


@pytest.mark.parametrize("behind", [b"", post(b"two")], ids=["nothing", "a request"])
async def test_gone_when_the_client_stops_sending(autojump_clock: MockClock, behind: bytes) -> None:
    waiting = Waiting()
    async with serving(waiting) as server, server.connect() as client:
        await client.send(post(b"one"))
        await trio.sleep(3)
        if behind:
            await client.send(behind)
        await trio.sleep(3)
        await client.stream.send_eof()
        replies_wanted = [b"one", b"two"] if behind else [b"one"]
        assert [(await client.response()).body for _ in replies_wanted] == replies_wanted
        assert waiting.gone_at == [6.0] * len(replies_wanted)


async def test_gone_when_the_connection_breaks(autojump_clock: MockClock) -> None:
    waiting = Waiting()
    ours, theirs = memory_stream_pair()

    async def break_off() -> None:
        if trio.current_time() >= 6:
            raise trio.BrokenResourceError
        await trio.sleep_until(6)
        raise trio.BrokenResourceError

    async with serving(waiting) as server, Client(ours) as client:
        server.listener.admit(theirs)
        await client.send(post(b"one"))
        await wait_all_tasks_blocked()
        theirs.receive_stream.receive_some_hook = break_off
        await client.send(b"\r\n")  # ends the receive that has begun
        assert await server.all_gone() == 6.0
        assert waiting.gone_at == [6.0]


async def test_gone_keeps_what_comes_meanwhile(autojump_clock: MockClock) -> None:
    waiting = Waiting(10)
    async with serving(waiting) as server, server.connect() as client:
        await client.send(post(b"one") + post(b"two")[:9])
        await trio.sleep(3)
        await client.send(post(b"two")[9:] + post(b"three"))
        assert [(await client.response()).body for _ in range(3)] == [b"one", b"two", b"three"]
        assert waiting.gone_at == []


async def test_gone_reads_no_more_than_it_can_keep(autojump_clock: MockClock) -> None:
    waiting = Waiting(10)
    async with serving(waiting) as server, server.connect(lockstep=True) as client:
        await client.send(post(b"one"))
        taken = 0
        with trio.move_on_after(5):
            while True:
                await client.send(b"\r\n" * 500)
                taken += 1000
        assert connection.RECEIVE_BYTES <= taken <= 2 * connection.RECEIVE_BYTES
        assert waiting.gone_at == []
