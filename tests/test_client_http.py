"""The clients' own HTTP: a reply in pieces, connections that end, and what is known afterwards."""

from __future__ import annotations

import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from clients import http
from clients.http import LOOK_AFTER_S, ClientError, Connection, NoReply, Target
from clients.replies import BadReply, Reply, parse_reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

ACCEPTED = b'HTTP/1.1 202 Accepted\r\ncontent-length: 21\r\n\r\n{"status":"accepted"}'
REPLIES = {
    "accepted": (ACCEPTED, Reply(202, b'{"status":"accepted"}', False, None, None)),
    "refused": (
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nConnection: close\r\n"
        b"Content-Length: 2\r\n\r\n{}",
        Reply(503, b"{}", True, 7, None),
    ),
    "retry at a date": (
        b"HTTP/1.1 503 x\r\nRetry-After: Mon, 24 Nov 2025 01:00:00 GMT\r\nContent-Length:0\r\n\r\n",
        Reply(503, b"", False, None, None),
    ),
    "allow": (
        b"HTTP/1.1 405 x\r\nALLOW: POST\r\nContent-Length: 0\r\n\r\n",
        Reply(405, b"", False, None, "POST"),
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", Reply(204, b"", False, None, None)),
    "no reason phrase": (b"HTTP/1.1 204 \r\n\r\n", Reply(204, b"", False, None, None)),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\n" + ACCEPTED,
        Reply(202, b'{"status":"accepted"}', False, None, None),
    ),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n!", Reply(200, b"!", True, None, None)),
    "old, kept": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n!",
        Reply(200, b"!", False, None, None),
    ),
}


@pytest.mark.parametrize(("data", "reply"), REPLIES.values(), ids=REPLIES)
def test_reply_is_complete_with_its_last_byte_and_not_before(data: bytes, reply: Reply) -> None:
    for end in range(len(data)):
        assert parse_reply(data[:end]) is None
        with pytest.raises(BadReply):
            parse_reply(data[:end], eof=True)
    assert parse_reply(data) == reply
    assert parse_reply(data, eof=True) == reply
    with pytest.raises(BadReply):
        parse_reply(data + b"H")


def test_body_without_a_length_ends_with_the_connection() -> None:
    data = b"HTTP/1.1 200 OK\r\n\r\nall of it"
    assert parse_reply(data) is None
    assert parse_reply(data, eof=True) == Reply(200, b"all of it", True, None, None)


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n!",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_reply_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(BadReply):
        parse_reply(data)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_body_that_is_no_json_is_none(body: bytes) -> None:
    assert Reply(200, body, False, None, None).json() is None


@asynccontextmanager
async def serving(
    handler: Callable[[trio.SocketStream], Awaitable[object]],
) -> AsyncIterator[Target]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, handler, [listener])
        yield await Target.locate(f"http://127.0.0.1:{port}")
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("name", REPLIES)
async def test_connection_takes_a_reply_cut_anywhere(name: str) -> None:
    data, reply = REPLIES[name]
    cuts = iter(range(1, len(data)))

    async def handler(stream: trio.SocketStream) -> None:
        while await stream.receive_some():
            cut = next(cuts)
            await stream.send_all(data[:cut])
            await wait_all_tasks_blocked()  # the client has the first piece
            await stream.send_all(data[cut:])
            if reply.close:
                break

    async with serving(handler) as target:
        with Connection(target) as connection:
            for _ in range(1, len(data)):
                assert await connection.request(b"?") == reply
                assert connection.is_open is not reply.close


async def test_equal_bytes_are_one_reply() -> None:
    async def handler(stream: trio.SocketStream) -> None:
        while await stream.receive_some():
            await stream.send_all(ACCEPTED)

    async with serving(handler) as target:
        with Connection(target) as one, Connection(target) as other:
            assert await one.request(b"?") is await other.request(b"?")


async def test_end_without_a_reply_leaves_the_request_unknown() -> None:
    async def handler(stream: trio.SocketStream) -> None:
        await stream.receive_some()

    async with serving(handler) as target:
        with Connection(target) as connection:
            for _ in range(2):  # the second opens a new connection, and fares the same
                with pytest.raises(NoReply, match="closed before") as caught:
                    await connection.request(b"?")
                assert caught.value.sent
                assert not connection.is_open


async def test_nobody_listening_leaves_the_request_unsent() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    target = await Target.locate(f"http://127.0.0.1:{port}")
    with Connection(target) as connection, pytest.raises(NoReply, match="refused") as caught:
        await connection.request(b"?")
    assert not caught.value.sent


async def test_late_reply_is_not_taken_for_the_next_one() -> None:
    ask = trio.Event()

    async def handler(stream: trio.SocketStream) -> None:
        question = await stream.receive_some()
        if question == b"slow":
            ask.set()
            await stream.receive_some()  # until the client has gone
        else:
            await stream.send_all(ACCEPTED)

    async with serving(handler) as target:
        with Connection(target) as connection:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.request, b"slow")
                await ask.wait()
                nursery.cancel_scope.cancel()
            assert not connection.is_open
            assert (await connection.request(b"fast")).status == 202


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_connection_that_the_server_ended_while_it_was_idle_costs_no_request(
    reset: bool, mock_clock: trio.testing.MockClock
) -> None:
    async def handler(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(ACCEPTED)
        if reset:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with serving(handler) as target:
        with Connection(target) as connection:
            for _ in range(3):
                assert (await connection.request(b"?")).status == 202
                assert connection.is_open
                await wait_all_tasks_blocked()  # the server has closed it
                mock_clock.jump(66)


async def test_second_reply_that_came_later_is_no_answer_to_the_next_request(
    mock_clock: trio.testing.MockClock,
) -> None:
    questions = []
    first_is_in = trio.Event()

    async def handler(stream: trio.SocketStream) -> None:
        questions.append(await stream.receive_some())
        await stream.send_all(ACCEPTED)
        await first_is_in.wait()
        if questions == [b"1"]:
            await stream.send_all(ACCEPTED)

    async with serving(handler) as target:
        with Connection(target) as connection:
            await connection.request(b"1")
            first_is_in.set()
            await wait_all_tasks_blocked()
            mock_clock.jump(66)
            with pytest.raises(NoReply, match="bytes after the reply") as caught:
                await connection.request(b"2")
            assert not caught.value.sent
            assert (await connection.request(b"3")).status == 202
    assert questions == [b"1", b"3"]


@pytest.mark.parametrize(("pause_s", "looks"), [(LOOK_AFTER_S, 0), (66, 2)])
async def test_connection_that_only_waited_is_kept_and_looked_at_after_a_pause(
    pause_s: float,
    looks: int,
    mock_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened, looked = [], []

    def ended(sock: socket.socket) -> bool:
        looked.append(look(sock))
        return looked[-1]

    look = http._ended
    monkeypatch.setattr(http, "_ended", ended)

    async def handler(stream: trio.SocketStream) -> None:
        opened.append(stream)
        while await stream.receive_some():
            await stream.send_all(ACCEPTED)

    async with serving(handler) as target:
        with Connection(target) as connection:
            for _ in range(3):
                assert (await connection.request(b"?")).status == 202
                mock_clock.jump(pause_s)
    assert len(opened) == 1
    assert looked == [False] * looks


async def test_get_json_asks_again_where_an_idle_connection_had_ended() -> None:
    heads = []

    async def handler(stream: trio.SocketStream) -> None:
        heads.append(await stream.receive_some())
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + b'{"a":1}')
        # and then it closes without a word of warning

    async with serving(handler) as target:
        with Connection(target) as connection:
            for _ in range(2):
                assert await connection.get_json("/stats") == {"a": 1}
                await wait_all_tasks_blocked()
    assert heads == [f"GET /stats HTTP/1.1\r\nHost: {target.host}\r\n\r\n".encode()] * 2


async def test_get_json_is_none_for_what_is_none() -> None:
    answers = iter([b"404 Not Found\r\nContent-Length: 2\r\n\r\n{}", b"200 OK\r\n\r\nnot JSON"])

    async def handler(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 " + next(answers))

    async with serving(handler) as target:
        for _ in range(2):
            with Connection(target) as connection:
                assert await connection.get_json("/") is None


async def test_get_json_tells_trouble_from_absence() -> None:
    async def handler(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 500 x\r\nContent-Length: 2\r\n\r\n{}")

    async with serving(handler) as target:
        with (
            Connection(target) as connection,
            pytest.raises(ClientError, match=r"/stats: 500 b'{}'"),
        ):
            await connection.get_json("/stats")


async def test_get_json_does_not_wait_for_ever(autojump_clock: trio.testing.MockClock) -> None:
    listener = trio.socket.socket()
    with listener:
        await listener.bind(("127.0.0.1", 0))
        listener.listen()
        target = await Target.locate(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with Connection(target) as connection, pytest.raises(NoReply, match="within 3 s"):
            await connection.get_json("/stats", timeout_s=3)
    assert trio.current_time() == 3


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "https://127.0.0.1", "http://h/path", "http://h:x"]
)
async def test_url_that_is_none_is_one_line(url: str) -> None:
    with pytest.raises(ClientError, match=r"^[^\n]+$"):
        await Target.locate(url)


async def test_request_bytes() -> None:
    target = await Target.locate("http://127.0.0.1:80")
    assert target.request("POST", "/", b"{}", close=True) == (
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1:80\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"
    )
