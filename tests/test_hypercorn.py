"""The stages on Hypercorn: the contract's rows a second time, what differs, and the drain.

Hypercorn runs in this process, over real loopback sockets and in real time. What it cannot give is
in ``hypercorn_differences.py``.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

import hypercorn_differences
import pytest
import test_contract
import trio
from h2.connection import H2Connection
from h2.events import StreamEnded
from support import (
    EVENT,
    PATIENCE_S,
    Client,
    ConnectionEnded,
    Flood,
    Process,
    Watch,
    parse_response,
    request,
    settings_of,
    stage_module,
)
from test_contract import (  # the rows: from here they run with this file's ``subject``
    Subject,
    serving,
    test_a_balance_by_its_users_percent_encoded_name,  # noqa: F401
    test_a_balance_of_nobody,  # noqa: F401
    test_a_body_that_is_no_event,  # noqa: F401
    test_a_good_event,  # noqa: F401
    test_a_request_for_something_else,  # noqa: F401
    test_an_amount_may_be_negative,  # noqa: F401
    test_asking_for_a_balance_opens_none,  # noqa: F401
    test_head_is_get_without_the_body,  # noqa: F401
    test_health,  # noqa: F401
    test_stage_4_replies_with_the_new_balance,  # noqa: F401
    test_stats_has_exactly_the_keys_of_the_contract,  # noqa: F401
    test_the_books_add_up,  # noqa: F401
    test_the_content_type_of_a_request_is_ignored,  # noqa: F401
    test_what_a_later_stage_adds_is_not_there_before,  # noqa: F401
)
from trio.testing import wait_all_tasks_blocked

from trio_stages import asgi, replies
from trio_stages.asgi import FIRST_STAGE, serve_hypercorn
from trio_stages.ladder import STAGES
from trio_stages.replies import Reply
from trio_stages.runner import bind
from trio_stages.server import LAST_ACCEPT_S
from trio_stages.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from trio_stages.ledger import LedgerStatistics

HOSTED = [number for number in STAGES if number >= FIRST_STAGE]
STOPPING = {"status": "rejected", "reason": "shutting_down"}


# Hypercorn in this process


class Hosted:
    """A stage on Hypercorn."""

    def __init__(self, stage: int, **overrides: Any) -> None:
        self.telemetry = Telemetry(settings_of(stage, **overrides))
        self._serve = stage_module(stage).serve
        self._listening = bind("127.0.0.1", 0)
        self.port: int = self._listening.getsockname()[1]
        self.stop_gracefully: Callable[[], None] | None = None
        self.ended = trio.Event()
        self.scope = trio.CancelScope()

    @property
    def books(self) -> LedgerStatistics:
        return self.telemetry.ledger.statistics()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with self.scope:
            async with trio.open_nursery() as nursery:
                self.stop_gracefully = await nursery.start(
                    serve_hypercorn, self._serve, self._listening, self.telemetry
                )
                task_status.started()
        self.ended.set()

    async def connect(self) -> Client:
        return Client(await trio.open_tcp_stream("127.0.0.1", self.port))


@asynccontextmanager
async def hosted(stage: int, **overrides: Any) -> AsyncIterator[Hosted]:
    """Run a stage on Hypercorn in this loop; cancel it behind the block."""
    host = Hosted(stage, **overrides)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(host.serve)
            yield host
            host.scope.cancel()


@contextmanager
def hosted_in_thread(stage: int, **overrides: Any) -> Iterator[Hosted]:
    """The same in a thread, for tests that are plain functions."""
    started: list[tuple[Hosted, trio.lowlevel.TrioToken]] = []
    ready = threading.Event()

    async def run() -> None:
        host = Hosted(stage, **overrides)
        async with trio.open_nursery() as nursery:
            await nursery.start(host.serve)
            started.append((host, trio.lowlevel.current_trio_token()))
            ready.set()

    thread = threading.Thread(target=trio.run, args=(run,))
    thread.start()
    assert ready.wait(PATIENCE_S)
    ((host, token),) = started
    try:
        yield host
    finally:
        token.run_sync_soon(host.scope.cancel)
        thread.join(PATIENCE_S)


# The contract


@pytest.fixture(scope="module")
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """In place of the one in ``test_contract``, for its rows."""
    stage = request.param
    work: dict[str, Any] = {"work_ms": 1.0} if stage >= 4 else {}
    hold: dict[str, Any] = {"hold_ms": 0.5} if stage >= 7 else {}
    with hosted_in_thread(stage, **work, **hold) as host:
        yield Subject(stage, cast("Process", host))


@contextmanager
def unless_it_differs(request: pytest.FixtureRequest, subject: Subject) -> Iterator[None]:
    """The block passes; or, if this row is said to differ, it must not."""
    stage = f"stage{subject.stage}"
    row = request.node.name.replace(f"-{stage}]", "]").replace(f"[{stage}]", "")
    if row in hypercorn_differences.ROWS:
        with pytest.raises(AssertionError):
            yield
    else:
        yield


@serving(HOSTED)
def test_stats_says_what_is_in_force(subject: Subject, request: pytest.FixtureRequest) -> None:
    with unless_it_differs(request, subject):
        test_contract.test_stats_says_what_is_in_force(subject)


(COUNTED,) = (
    mark
    for mark in cast("Any", test_contract.test_what_counts_as_what).pytestmark
    if "sent" in mark.args[0]
)


@serving(HOSTED)
@pytest.mark.parametrize(*COUNTED.args, **COUNTED.kwargs)
def test_what_counts_as_what(
    subject: Subject, sent: bytes | None, rises: set[str], request: pytest.FixtureRequest
) -> None:
    with unless_it_differs(request, subject):
        test_contract.test_what_counts_as_what(subject, sent, rises)


NOT_HERE = {
    "test_the_body_comes_back": "stages 1 and 2",
    "test_a_head_has_no_body_even_there": "stages 1 and 2",
    "test_stage_1_answers_one_request_a_connection_and_stage_2_all": "stages 1 and 2",
    "test_what_is_not_http_gets_400_and_a_close": "a difference, on all stages",
    "test_two_lines_on_stdout": "test_hypercorn_process.py",
}


def test_every_row_of_the_contract_is_here() -> None:
    rows = {name for name in vars(test_contract) if name.startswith("test_")}
    assert rows == {name for name in rows if name in globals()} | NOT_HERE.keys()
    assert {difference.test for difference in hypercorn_differences.DIFFERENCES} <= globals().keys()
    counted = {f"test_what_counts_as_what[{row}]" for row in COUNTED.kwargs["ids"]}
    assert hypercorn_differences.ROWS.keys() <= rows | counted


# What differs


def read_all(client: socket.socket) -> bytes:
    """Everything up to the server's FIN; a reset would raise."""
    received = bytearray()
    while part := client.recv(65_536):
        received += part
    return bytes(received)


def say(port: int, data: bytes, *, end: bool = False) -> bytes:
    """Send it, and perhaps no more; what comes until the server ends the connection?"""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        client.sendall(data)
        if end:
            client.shutdown(socket.SHUT_WR)
        return read_all(client)


@serving(HOSTED)
def test_what_is_not_http_gets_a_bare_400(subject: Subject) -> None:
    before = subject.settled_stats()
    for data in (b"hello\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n"):
        reply = parse_response(bytearray(say(subject.process.port, data)))
        assert reply is not None
        assert (reply.status, reply.body, reply.headers["connection"]) == (400, b"", "close")
        assert "content-type" not in reply.headers
    assert subject.settled_stats()["http_errors"] == before["http_errors"]


@serving([3])
def test_a_request_that_is_cut_short_gets_a_bare_400(subject: Subject) -> None:
    before = subject.settled_stats()
    reply = parse_response(bytearray(say(subject.process.port, request()[:-1], end=True)))
    assert reply is not None
    assert (reply.status, reply.body, reply.headers["connection"]) == (400, b"", "close")
    after = subject.settled_stats()
    for counter in ("received", "http_errors"):
        assert after[counter] == before[counter]


@serving([3, 10])
def test_connections_are_not_counted(subject: Subject) -> None:
    assert subject.get("/stats").json["connections"] == 0


async def test_there_is_no_limit_on_connections() -> None:
    async with hosted(3, max_connections=1) as host:
        clients = [await host.connect() for _ in range(20)]
        for client in clients:
            assert (await client.get("/stats")).json["connections_refused"] == 0
        for client in clients:
            await client.aclose()


async def test_a_slow_head_ends_at_the_idle_timeout() -> None:
    async with hosted(3, header_timeout=0.05, idle_timeout=0.4) as host:
        async with await host.connect() as client:
            begun_s = trio.current_time()
            await client.send(request()[:10])
            with pytest.raises(ConnectionEnded) as ended:
                await client.response()
            assert ended.value.args == (b"",)
            assert 0.35 < trio.current_time() - begun_s < 4
        assert host.books.http_errors == 0


async def test_there_is_no_timeout_for_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"x" * 20_000_000  # more than the kernel keeps for a client that does not read
    monkeypatch.setattr(replies, "HEALTHY", Reply(200, body))
    async with hosted(3, write_timeout=0.05) as host, await host.connect() as client:
        await client.send(request("GET", "/health", b""))
        await trio.sleep(0.2)  # what is shown is that nothing happens in this time
        assert (await client.response()).body == body


async def test_an_idle_connection_is_closed_when_the_last_call_is_over() -> None:
    async with hosted(10) as host, await host.connect() as client:
        assert (await client.get("/health")).status == 200
        begun_s = trio.current_time()
        stop(host)
        with pytest.raises(ConnectionEnded):
            await client.response()
        assert trio.current_time() - begun_s >= LAST_ACCEPT_S
        await host.ended.wait()


async def test_a_refused_upload_in_tiny_chunks_comes_to_its_end() -> None:
    """They fill Hypercorn's queue for the application, into which it puts the end as well."""

    async def upload(client: Client) -> None:
        with suppress(trio.BrokenResourceError):
            await client.send(b"1\r\nx\r\n" * 20_000)

    head = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with hosted(3, max_body_bytes=1000) as host:
        for _ in range(5):
            async with await host.connect() as client, trio.open_nursery() as nursery:
                await client.send(head)
                nursery.start_soon(upload, client)
                with suppress(trio.BrokenResourceError):
                    while await client.stream.receive_some():
                        pass
                nursery.cancel_scope.cancel()


async def test_an_error_of_hypercorns_costs_no_other_request_of_its_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Data of a stream that is over, which any client sends that hears of its refusal too late."""
    h2 = H2Connection()
    h2.initiate_connection()
    target = [(":method", "POST"), (":scheme", "http"), (":authority", "t"), (":path", "/")]
    async with hosted(4, work_ms=1500) as host, await host.connect() as client:
        h2.send_headers(1, target)
        h2.send_data(1, EVENT, end_stream=True)
        h2.send_headers(3, [*target, ("content-length", "10000000")])
        await client.send(h2.data_to_send())
        refused = False
        while not refused:
            for happened in h2.receive_data(await client.stream.receive_some()):
                refused |= isinstance(happened, StreamEnded) and happened.stream_id == 3
        h2.send_data(3, b"x" * 100)
        await client.send(h2.data_to_send())
        error = "a connection ended by an error of its host"
        while error not in caplog.messages:  # noqa: ASYNC110 (nothing tells)
            await trio.sleep(0.01)
        assert host.books.in_hand == 1
        while not host.books.processed + host.books.abandoned:  # noqa: ASYNC110 (nothing tells)
            await trio.sleep(0.01)
        assert (host.books.processed, host.books.abandoned) == (1, 0)


def two_to_h2() -> bytes:
    """An event over HTTP/2, and a request to which the reply is at once."""
    h2 = H2Connection()
    h2.initiate_connection()
    to = [(":scheme", "http"), (":authority", "t")]
    h2.send_headers(1, [*to, (":method", "GET"), (":path", "/health")], end_stream=True)
    h2.send_headers(3, [*to, (":method", "POST"), (":path", "/")])
    h2.send_data(3, EVENT, end_stream=True)
    return h2.data_to_send()


@pytest.mark.parametrize("resets", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize("said", [request(), two_to_h2()], ids=["1.1", "2"])
async def test_who_leaves_before_the_reply_leaves_nothing_behind(
    said: bytes, resets: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, run = trio.Event(), asgi._Contained.run

    async def noted(self: asgi._Contained) -> None:
        await run(self)
        ended.set()

    monkeypatch.setattr(asgi._Contained, "run", noted)
    async with hosted(4, work_ms=100) as host, await host.connect() as client:
        await client.send(said)
        while not host.books.in_hand:  # noqa: ASYNC110 (nothing tells)
            await trio.sleep(0.001)
        assert isinstance(client.stream, trio.SocketStream)
        if resets:
            client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await client.aclose()
        await ended.wait()


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@serving([3, 10])
def test_a_websocket_is_refused(subject: Subject) -> None:
    assert say(subject.process.port, HANDSHAKE, end=True).startswith(b"HTTP/1.1 403 ")
    subject.check_good(subject.exchange(subject.good())[0])


# What does not, though it is Hypercorn's


async def test_who_has_hung_up_is_let_go() -> None:
    """Hypercorn by itself keeps such a connection until the idle timeout, and its socket."""
    async with hosted(3) as host:
        for _ in range(3):
            async with await host.connect() as client:
                assert (await client.get("/health")).status == 200
                # Nothing but a timer is left of the request.
                await wait_all_tasks_blocked(0.01)
                await client.stream.send_eof()
                with pytest.raises(ConnectionEnded):  # at once, not in a minute
                    await client.response()


@pytest.mark.parametrize("how", ["vanishes", "stops sending"])
async def test_a_client_that_leaves_while_its_event_waits_is_rejected(how: str) -> None:
    async with hosted(5, capacity=0, overflow="wait", work_ms=60_000) as host:
        watch = Watch(host.telemetry)
        trio.lowlevel.add_instrument(watch)
        async with await host.connect() as busy, await host.connect() as leaving:
            assert (await busy.post()).status == 202
            await leaving.send(request())
            await watch.until(lambda books: books.waiting == 1)
            if how == "vanishes":
                await leaving.aclose()
            else:
                await leaving.stream.send_eof()
            await watch.until(lambda books: books.rejected == 1)
        books = host.books
        assert (books.received, books.accepted, books.waiting) == (2, 1, 0)
        assert not watch.problems


# The drain, on Hypercorn


def stop(host: Hosted) -> None:
    assert host.stop_gracefully is not None
    host.stop_gracefully()


async def test_only_stage_10_can_stop_gracefully() -> None:
    for stage in HOSTED:
        async with hosted(stage) as host:
            assert (host.stop_gracefully is not None) == (stage == 10)


@pytest.mark.parametrize("overflow", ["reject", "wait"])
async def test_a_stop_amid_a_flood_loses_nothing(
    overflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last call is long enough for a busy machine to hear those who had sent before it."""
    monkeypatch.setattr(asgi, "LAST_ACCEPT_S", 1.0)
    async with hosted(10, work_ms=20, overflow=overflow, capacity=200) as host:
        flood = Flood(host.port)
        early: list[Client] = []
        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(flood.client)
            await flood.in_full_swing.wait()
            for _ in range(20):
                early.append(await host.connect())
                await early[-1].send(request())
            stop(host)
            for client in early:  # they had sent in full before
                flood.statuses.append((await client.response()).status)
                await client.aclose()
        await host.ended.wait()
    books = host.books
    assert books.accepted == books.processed > 0
    assert (books.abandoned, books.failed, books.waiting) == (0, 0, 0)
    promised = flood.statuses.count(202)
    assert promised <= books.accepted <= promised + flood.unanswered
    assert set(flood.statuses) <= {202, 503}
    assert host.telemetry.final()["drained"] > 0


async def test_the_kernels_backlog_is_answered() -> None:
    """All in one step of one task: Hypercorn cannot have accepted anybody."""
    async with hosted(10) as host:
        await wait_all_tasks_blocked()
        with ExitStack() as stack:
            sockets = []
            for _ in range(8):
                client = socket.create_connection(("127.0.0.1", host.port), timeout=PATIENCE_S)
                sockets.append(stack.enter_context(client))
                client.sendall(request())
            stop(host)
            replies = [await trio.to_thread.run_sync(read_all, each) for each in sockets]
        for data in replies:
            reply = parse_response(bytearray(data))
            assert reply is not None
            assert (reply.status, reply.json) == (503, STOPPING)
            assert reply.headers["connection"] == "close"
        await host.ended.wait()
        assert host.books.rejected == 8


async def test_one_who_waits_at_the_stop_is_refused() -> None:
    async with hosted(10, workers=1, capacity=0, overflow="wait", work_ms=400, hold_ms=0) as host:
        watch = Watch(host.telemetry)
        trio.lowlevel.add_instrument(watch)
        await wait_all_tasks_blocked()
        async with await host.connect() as client, await host.connect() as waiting:
            assert (await client.post()).status == 202
            await waiting.send(request())
            await watch.until(lambda books: books.waiting == 1)
            stop(host)
            reply = await waiting.response()
            assert (reply.status, reply.json) == (503, STOPPING)
            assert reply.headers["connection"] == "close"
        await host.ended.wait()
        assert host.books.accepted == host.books.processed == 1


async def test_a_client_that_has_not_sent_all_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hypercorn would, for as long as a drain may take."""
    monkeypatch.setattr(asgi, "CLOSE_S", 0.05)
    async with hosted(10, drain_timeout=60.0) as host, await host.connect() as endless:
        await endless.send(request()[:-1])
        await wait_all_tasks_blocked(0.01)
        stop(host)
        await host.ended.wait()


async def test_the_deadline_holds_there_too() -> None:
    """Against a job of a minute, those behind it, and a body that never ends."""
    async with hosted(10, workers=1, work_ms=60_000, drain_timeout=0.3) as host:
        async with await host.connect() as client, await host.connect() as endless:
            for _ in range(10):
                assert (await client.post()).status == 202
            await endless.send(request()[:-1])
            begun_s = trio.current_time()
            stop(host)
            await host.ended.wait()
            assert 0.3 <= trio.current_time() - begun_s < 10
        assert (host.books.accepted, host.books.abandoned) == (10, 10)


async def test_a_stage_that_crashes_ends_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hypercorn would log it, and go on without."""
    crash = trio.Event()

    async def heartbeat() -> None:
        await crash.wait()
        raise ZeroDivisionError

    monkeypatch.setattr(stage_module(10), "heartbeat", heartbeat)
    host = Hosted(10)
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True), trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(host.serve)
            crash.set()
