"""The ASGI application under a hand-written server, in virtual time; for Hypercorn see there.

``test_hypercorn.py`` has the real host: the contract, the drain, the processes.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
from support import EVENT, Response, settings_of, stage_module
from test_contract import GOOD
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_stages import asgi
from trio_stages.asgi import FIRST_STAGE, Application, application_from
from trio_stages.ladder import STAGES
from trio_stages.options import UsageError
from trio_stages.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

Message = MutableMapping[str, Any]

HOSTED = [number for number in STAGES if number >= FIRST_STAGE]
STOPPING = {"status": "rejected", "reason": "shutting_down"}


class Asgi:
    """The smallest of servers: a lifespan, and one request at a time or many.

    Args:
        app: an ASGI 3 application.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._to_app, self._events = trio.open_memory_channel[Message](1)
        self.said: list[Message] = []  #: by the lifespan

    async def lifespan(self) -> None:
        async def send(message: Message) -> None:
            self.said.append(message)
            if message["type"].startswith("lifespan.startup"):
                self._started.set()

        self._started = trio.Event()
        await self._app({"type": "lifespan"}, self._events.receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Asgi]:
        """Start it up, and shut it down behind the block."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.lifespan)
            await self._to_app.send({"type": "lifespan.startup"})
            await wait_all_tasks_blocked()
            assert self.said == [{"type": "lifespan.startup.complete"}]
            yield self
            await self._to_app.send({"type": "lifespan.shutdown"})
        assert self.said[1:] == [{"type": "lifespan.shutdown.complete"}]

    async def start_up(self) -> list[Message]:
        """Try to; what does it say?"""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.lifespan)
            await self._to_app.send({"type": "lifespan.startup"})
        return self.said

    async def ask(
        self,
        method: str = "POST",
        path: str = "/",
        *messages: Message,
        body: bytes = EVENT,
        **scope: Any,
    ) -> Response | None:
        """Let it answer one request; None if it does not.

        Args:
            method: of the request.
            path: as sent, without the query.
            messages: what ``receive`` returns; by default the whole body. Then nothing comes.
            body: if there are no messages.
            scope: what is not as usual.
        """
        coming = list(messages) or [{"type": "http.request", "body": body}]
        sent: list[Message] = []

        async def receive() -> Message:
            if not coming:
                await trio.sleep_forever()
            await trio.lowlevel.checkpoint()
            return coming.pop(0)

        async def send(message: Message) -> None:
            sent.append(message)
            await trio.lowlevel.checkpoint()

        usual = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"test")],
        }
        await self._app(usual | scope, receive, send)
        if not sent:
            return None
        start, content = sent
        assert start["type"] == "http.response.start"
        assert content["type"] == "http.response.body"
        assert all(name == name.lower() for name, _ in start["headers"])
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return Response(start["status"], headers, content["body"])

    async def answer(self, *args: Any, **kwargs: Any) -> Response:
        """The same, where there must be an answer."""
        response = await self.ask(*args, **kwargs)
        assert response is not None
        return response


def application(stage: int, **overrides: Any) -> Application:
    if stage >= 6:
        overrides.setdefault("offload", "task")
    telemetry = Telemetry(settings_of(stage, **overrides), clock=trio.current_time)
    return Application(stage_module(stage).serve, telemetry)


SLOW: dict[str, Any] = {"workers": 1, "work_ms": 500, "hold_ms": 0}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set variables, by their names without the prefix; and have ``app`` not made yet."""

    def set_(**variables: object) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(f"TRIO_STAGES_{name}", str(value))

    monkeypatch.setattr(asgi, "app", asgi._FromEnvironment())
    return set_


async def test_the_application_is_what_the_environment_says(
    environment: Callable[..., None], autojump_clock: MockClock
) -> None:
    environment(STAGE=5, CAPACITY=7, WORK_MS=250, SERVER="trio", WORKERS=3)
    with trio.fail_after(100):
        async with Asgi(asgi.app).running() as server:
            assert (await server.answer()).status == 202
            stats = (await server.answer("GET", "/stats")).json
            assert stats["stage"] == 5
            assert (stats["config"]["capacity"], stats["config"]["work_ms"]) == (7, 250)
            assert (stats["accepted"], stats["workers"]) == (1, 1)
    assert trio.current_time() < 1.0  # it ends at once


@pytest.mark.parametrize("stage", HOSTED)
async def test_each_stage_from_the_environment(
    stage: int, environment: Callable[..., None], autojump_clock: MockClock
) -> None:
    environment(STAGE=stage, OFFLOAD="task")
    with trio.fail_after(100):
        async with Asgi(asgi.app).running() as server:
            reply = await server.answer()
            assert (reply.status, reply.json) == GOOD[stage]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "TRIO_STAGES_STAGE: '' is no stage from 3 to 10"),
        ({"STAGE": 2}, "TRIO_STAGES_STAGE: '2' is no stage from 3 to 10"),
        ({"STAGE": 11}, "TRIO_STAGES_STAGE: '11' is no stage from 3 to 10"),
        ({"STAGE": "-5"}, "TRIO_STAGES_STAGE: '-5' is no stage from 3 to 10"),
        ({"STAGE": "six"}, "TRIO_STAGES_STAGE: 'six' is no stage from 3 to 10"),
        ({"STAGE": "6\n"}, r"TRIO_STAGES_STAGE: '6\n' is no stage from 3 to 10"),
        ({"STAGE": 6, "WORKERS": 0}, "TRIO_STAGES_WORKERS: 0 is not between 1 and 10000"),
        ({"STAGE": 7, "STATE": "x"}, "TRIO_STAGES_STATE: 'x' is not one of mutex, rwlock, "
         "sharded, per-user"),
    ],
)  # fmt: skip
async def test_a_bad_value_fails_the_start_up_with_one_line(
    variables: dict[str, object], message: str, environment: Callable[..., None]
) -> None:
    environment(**variables)
    said = await Asgi(asgi.app).start_up()
    assert said == [{"type": "lifespan.startup.failed", "message": message}]
    with pytest.raises(UsageError):  # a server without a lifespan learns of it all the same
        await Asgi(asgi.app).ask()


def test_application_from_takes_any_mapping() -> None:
    settings = application_from({"TRIO_STAGES_STAGE": "8", "TRIO_STAGES_SHARDS": "3"})
    assert (settings.telemetry.settings.stage, settings.telemetry.settings.shards) == (8, 3)


async def test_the_end_of_the_lifespan_drains_exactly(autojump_clock: MockClock) -> None:
    app = application(10, **SLOW)
    with trio.fail_after(100):
        async with Asgi(app).running() as server:
            await wait_all_tasks_blocked()
            for _ in range(10):
                assert (await server.answer()).status == 202
            await trio.sleep_until(1.2)
        assert trio.current_time() == pytest.approx(5.0)
    books = app.telemetry.ledger.statistics()
    assert (books.accepted, books.processed, books.abandoned) == (10, 10, 0)
    assert app.telemetry.final()["drained"] == 8


async def test_its_deadline_is_exact(autojump_clock: MockClock) -> None:
    app = application(10, **SLOW, drain_timeout=2.0)
    with trio.fail_after(100):
        async with Asgi(app).running() as server:
            await wait_all_tasks_blocked()
            for _ in range(10):
                await server.answer()
            await trio.sleep_until(1.2)
        assert trio.current_time() == pytest.approx(3.2)
    books = app.telemetry.ledger.statistics()
    assert (books.processed, books.abandoned) == (6, 4)


async def test_before_stage_10_the_end_of_the_lifespan_abandons(autojump_clock: MockClock) -> None:
    app = application(6, workers=1, work_ms=500)
    with trio.fail_after(100):
        async with Asgi(app).running() as server:
            for _ in range(10):
                await server.answer()
            await trio.sleep_until(1.2)
        assert trio.current_time() == 1.2
    books = app.telemetry.ledger.statistics()
    assert (books.processed, books.abandoned) == (2, 8)


async def test_a_request_under_way_is_answered_before_the_end(autojump_clock: MockClock) -> None:
    """It waits for a place; like one that comes later it is told that the server shuts down."""
    app = application(10, **SLOW, capacity=0, overflow="wait")
    replies: list[Response] = []

    async def ask() -> None:
        replies.append(await server.answer())

    with trio.fail_after(100):
        async with trio.open_nursery() as nursery, Asgi(app).running() as server:
            await wait_all_tasks_blocked()
            await ask()
            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            assert app.telemetry.ledger.statistics().waiting == 1
            assert app.stop_gracefully is not None
            app.stop_gracefully()
            health = await server.answer("GET", "/health")
            await ask()
        assert trio.current_time() == pytest.approx(0.5)
    assert health.status == 503
    first, waited, late = replies
    assert (first.status, late.status, waited.status) == (202, 503, 503)
    assert late.json == waited.json == STOPPING
    assert "connection" not in first.headers
    for reply in (health, late, waited):
        assert reply.headers["connection"] == "close"
    books = app.telemetry.ledger.statistics()
    assert (books.received, books.processed, books.rejected) == (3, 1, 2)


# Requests


def part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


GONE: Message = {"type": "http.disconnect"}


async def test_a_body_may_come_in_pieces(autojump_clock: MockClock) -> None:
    pieces = [part(EVENT[at : at + 1]) for at in range(len(EVENT))]
    async with Asgi(application(4, work_ms=0)).running() as server:
        for messages in (
            [*pieces, part(b"", more=False)],
            [part(EVENT, more=False)],
            [{"type": "http.request", "more_body": True}, {"type": "http.request", "body": EVENT}],
        ):
            assert (await server.answer("POST", "/", *messages)).status == 200
        assert (await server.answer("GET", "/balances/alice")).json["balance"] == 300


async def test_one_that_never_ends_has_the_body_timeout(autojump_clock: MockClock) -> None:
    app = application(3, body_timeout=7.0)
    with trio.fail_after(100):
        async with Asgi(app).running() as server:
            reply = await server.answer("POST", "/", part(EVENT[:5]))
            assert trio.current_time() == 7.0
    assert (reply.status, reply.headers["connection"]) == (408, "close")
    assert reply.json == {"status": "error", "reason": "request_timeout"}
    assert app.telemetry.ledger.statistics().http_errors == 1


@pytest.mark.parametrize("pieces", [1, 3])
async def test_one_that_is_too_long_is_not_read_to_its_end(
    pieces: int, autojump_clock: MockClock
) -> None:
    app = application(3, max_body_bytes=100)
    async with Asgi(app).running() as server:
        fits = await server.answer(body=b'{"pad":"%s"}' % (b"x" * 89))
        assert fits.status == 400
        assert fits.json["reason"] == "invalid_json"
        messages = [part(b"x" * (120 // pieces)) for _ in range(pieces)]
        reply = await server.answer("POST", "/", *messages)
    assert (reply.status, reply.headers["connection"]) == (413, "close")
    assert app.telemetry.ledger.statistics().http_errors == 1


async def test_one_who_leaves_before_the_end_gets_nothing(autojump_clock: MockClock) -> None:
    app = application(3)
    async with Asgi(app).running() as server:
        assert await server.ask("POST", "/", part(EVENT[:5]), GONE) is None
    books = app.telemetry.ledger.statistics()
    assert (books.received, books.http_errors) == (0, 0)


async def test_one_who_leaves_while_its_event_waits(autojump_clock: MockClock) -> None:
    app = application(5, work_ms=500, capacity=0, overflow="wait")
    with trio.fail_after(100):
        async with Asgi(app).running() as server:
            await wait_all_tasks_blocked()
            assert (await server.answer()).status == 202
            left = await server.answer("POST", "/", part(EVENT, more=False), GONE)
            assert left.json["reason"] == "server_busy"  # for one who has only stopped sending
            assert trio.current_time() == 0.0
            assert (await server.answer()).status == 202
            assert trio.current_time() == 0.5
    books = app.telemetry.ledger.statistics()
    assert (books.received, books.accepted, books.rejected) == (3, 2, 1)


@pytest.mark.parametrize(
    ("version", "connection", "closes"),
    [
        ("1.1", b"", False),
        ("1.1", b"close", True),
        ("1.0", b"", True),
        ("1.0", b"keep-alive", False),
        ("2", b"", False),
    ],
)
async def test_whether_the_connection_ends_is_said(
    version: str, connection: bytes, closes: bool, autojump_clock: MockClock
) -> None:
    headers = [(b"host", b"test"), *([(b"connection", connection)] if connection else [])]
    async with Asgi(application(3)).running() as server:
        reply = await server.answer("GET", "/health", http_version=version, headers=headers)
        assert (reply.headers.get("connection") == "close") == closes


async def test_an_error_of_ours_is_a_500_and_nobody_elses(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(3)
    async with Asgi(app).running() as server:
        with monkeypatch.context() as patch:
            patch.setattr(Telemetry, "stats", lambda self: 1 / 0)
            reply = await server.answer("GET", "/stats")
        assert (reply.status, reply.headers["connection"]) == (500, "close")
        assert reply.json == {"status": "error", "reason": "internal_error"}
        assert (await server.answer("GET", "/stats")).json["http_errors"] == 1
    assert [record.message for record in caplog.records] == ["a request could not be answered"]


async def test_a_websocket_scope_is_closed(autojump_clock: MockClock) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    app = application(3)
    async with Asgi(app).running():
        await app({"type": "websocket"}, receive, send)
    assert sent == [{"type": "websocket.close"}]


async def test_a_stage_that_crashes_fails_its_lifespan(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def heartbeat() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(stage_module(5), "heartbeat", heartbeat)
    app = application(5)
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        await Asgi(app).start_up()
    assert app.stage_ended.is_set()
    assert app.error is not None
