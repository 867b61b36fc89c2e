"""The same stages under Hypercorn: an ASGI application whose lifespan is the stage.

``python -m trio_stages 10 --server hypercorn`` hosts it with our own signal handling, final line
and exit status; ``hypercorn -k trio trio_stages.asgi:app`` has its own, and takes the stage from
``TRIO_STAGES_STAGE`` and its options from the environment.

The stage runs in the lifespan's task and believes that it serves a listener: ``Gateway`` takes the
listener's place, gets the stage's ``respond``, and every ASGI request goes through it. What the
connections are held to (most timeouts, framing errors, the limit on connections) is Hypercorn's
business here; ``docs/hypercorn.md`` lists the differences.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import trio

from . import replies
from .connection import LAST_CALL_S, awaited
from .heads import LAX, MAX_HEADER_FIELDS, Refused, understand
from .ladder import STAGES
from .messages import Request
from .options import UsageError, parse_settings
from .server import LAST_ACCEPT_S
from .telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from hypercorn.typing import ASGIFramework

    from .connection import Respond
    from .messages import Head
    from .options import Settings
    from .replies import Reply

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Serve = Callable[..., Awaitable[None]]

FIRST_STAGE = 3  # the earlier ones speak to sockets themselves

# Once the stage has drained, how long Hypercorn may take to close its connections. Now and then it
# keeps one for the whole of its graceful timeout.
CLOSE_S = 1.0

log = logging.getLogger(__name__)


class Gateway:
    """Stands where a stage expects its listener; hands it the requests of an ASGI server."""

    def __init__(self) -> None:
        self.respond: Respond | None = None
        self._in_flight = 0
        self._quiet = trio.Event()

    async def serve(
        self,
        respond: Respond,
        stop: trio.Event | None,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Answer requests until told to stop, then until those under way are answered."""
        self.respond = respond
        task_status.started()
        if stop is None:
            await trio.sleep_forever()
            return
        await stop.wait()
        while self._in_flight:
            self._quiet = trio.Event()
            await self._quiet.wait()

    async def answer(self, request: Request, client: AsgiClient) -> Reply:
        """Let the stage answer a request."""
        assert self.respond is not None, "the server sent a request before the lifespan began"
        self._in_flight += 1
        try:
            return await awaited(self.respond(request, client))
        except Exception:
            log.exception("a request could not be answered")
            return replies.INTERNAL_ERROR
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._quiet.set()


class ClientGone(Exception):
    """There is nobody to answer any more."""


class AsgiClient:
    """Whoever waits for the reply; Hypercorn says in ``receive`` when it has gone."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    async def body(self, max_bytes: int) -> bytes:
        """Return the complete body.

        Raises:
            ClientGone: before it was complete.
            Refused: it is longer than ``max_bytes``.
        """
        body = bytearray()
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > max_bytes:
                raise Refused(replies.PAYLOAD_TOO_LARGE)
        return bytes(body)

    async def gone(self) -> None:
        """Return when the client has stopped sending or vanished."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


class Application:
    """An ASGI 3 application that is one stage.

    Args:
        serve: the stage's.
        telemetry: of the stage.
    """

    def __init__(self, serve: Serve, telemetry: Telemetry) -> None:
        self.telemetry = telemetry
        #: Stops the stage gracefully; None before the start-up, and where it cannot.
        self.stop_gracefully: Callable[[], None] | None = None
        self.stage_ended = trio.Event()
        #: What ended the stage, if it crashed; Hypercorn would only log it, and go on without.
        self.error: Exception | None = None
        self._serve = serve
        self._gateway = Gateway()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            trio.lowlevel.current_task()
        except RuntimeError:  # there is none: it is asyncio's
            message = "trio_stages.asgi needs Hypercorn's Trio worker: hypercorn -k trio"
            await send({"type": "lifespan.startup.failed", "message": message})
            return
        contain_errors()
        async with trio.open_nursery() as nursery:
            self.stop_gracefully = await nursery.start(self._run_stage)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            if self.stop_gracefully is None:
                nursery.cancel_scope.cancel()
            else:
                self.stop_gracefully()
        await send({"type": "lifespan.shutdown.complete"})

    async def _run_stage(self, *, task_status: trio.TaskStatus[Callable[[], None] | None]) -> None:
        try:
            await self._serve(self._gateway, self.telemetry, task_status=task_status)
        except Exception as error:
            self.error = error
            raise
        finally:
            self.stage_ended.set()

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        settings, telemetry = self.telemetry.settings, self.telemetry
        client = AsgiClient(receive)
        keep_alive = is_complete = False
        try:
            head = head_of(scope, settings)
            keep_alive = head.keep_alive
            with trio.fail_after(settings.body_timeout):
                body = await client.body(settings.max_body_bytes)
            is_complete = True
            reply = await self._gateway.answer(Request(head, body), client)
        except Refused as refused:
            reply = refused.reply
            # Hypercorn drops a reply that ends the connection when more input turns up meanwhile.
            with trio.move_on_after(LAST_CALL_S):
                await client.gone()
        except trio.TooSlowError:
            reply = replies.REQUEST_TIMEOUT
        except ClientGone:
            return
        if reply.http_error:
            telemetry.ledger.http_error()
        fields = [(name.lower(), value) for name, value in reply.fields]  # as ASGI will have it
        if reply.close or telemetry.draining or not keep_alive:
            fields.append((b"connection", b"close"))
        async with trio.open_nursery() as nursery:
            if not is_complete:
                # What goes on coming would fill Hypercorn's queue for us, and then block whoever
                # puts the end of the connection into it: that is us, in ``send``.
                nursery.start_soon(client.gone)
            await send({"type": "http.response.start", "status": reply.status, "headers": fields})
            await send({"type": "http.response.body", "body": reply.body})
            nursery.cancel_scope.cancel()


def head_of(scope: Message, settings: Settings) -> Head:
    """What our own framing would have made of the head of this request.

    Raises:
        Refused: it would not have let pass what Hypercorn has.
    """
    method, fields = scope["method"].encode(), scope["headers"]
    if len(fields) > MAX_HEADER_FIELDS or _bytes(scope) > settings.max_header_bytes:
        raise Refused(replies.HEADERS_TOO_LARGE)
    if any(LAX.search(value) for _, value in fields):
        raise Refused(replies.INVALID_HTTP)
    # The binary framing of HTTP/2 has been checked; what it means is the same.
    version = b"1.1" if scope["http_version"] == "2" else scope["http_version"].encode()
    head = understand(method, scope["raw_path"], version, fields)
    if head.body_bytes > settings.max_body_bytes:
        raise Refused(replies.PAYLOAD_TOO_LARGE)
    return head


def _bytes(scope: Message) -> int:
    """The length of the head, with a blank behind each colon."""
    line = f"{scope['method']}  HTTP/1.1\r\n\r\n"
    query = len(scope["query_string"]) + 1 if scope["query_string"] else 0
    fields = sum(len(name) + len(value) + len(": \r\n") for name, value in scope["headers"])
    return len(line) + len(scope["raw_path"]) + query + fields


async def serve_hypercorn(
    serve: Serve,
    listening: socket.socket,
    telemetry: Telemetry,
    *,
    task_status: trio.TaskStatus[Callable[[], None] | None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Host a stage on Hypercorn until cancelled, or gracefully stopped.

    Args:
        serve: the stage's.
        listening: owned from here on.
        telemetry: of the stage.
        task_status: told how to stop it gracefully, or None where the stage cannot.

    Raises:
        Exception: the one that ended the stage.
    """
    import hypercorn.trio
    from hypercorn.config import Config

    settings = telemetry.settings
    config = Config()
    config.bind = [f"fd://{listening.detach()}"]
    config.backlog = socket.SOMAXCONN  # it listens once more, with a backlog of its own
    config.h11_max_incomplete_size = settings.max_header_bytes
    config.keep_alive_timeout = settings.idle_timeout
    config.keep_alive_max_requests = 2**62
    config.include_server_header = False
    config.errorlog = logging.getLogger("hypercorn")
    config.errorlog.setLevel(logging.WARNING)  # that it runs, our own first line says
    config.graceful_timeout = settings.drain_timeout
    config.shutdown_timeout = settings.drain_timeout + 1
    application = Application(serve, telemetry)
    framework = cast("ASGIFramework", application)
    stop = trio.Event()

    def stop_gracefully() -> None:
        assert application.stop_gracefully is not None
        application.stop_gracefully()
        stop.set()

    async def close_after_last_call() -> None:
        # What is in the kernel's backlog when Hypercorn closes would be reset. So it goes on
        # accepting for a moment, and the stage tells the late ones that it is shutting down.
        await stop.wait()
        await trio.sleep(LAST_ACCEPT_S)

    run = partial(hypercorn.trio.serve, framework, config, shutdown_trigger=close_after_last_call)
    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        task_status.started(stop_gracefully if application.stop_gracefully else None)
        await application.stage_ended.wait()
        if application.error is not None:
            raise application.error
        nursery.cancel_scope.deadline = trio.current_time() + CLOSE_S


def contain_errors() -> None:
    """Let an error end its own connection; by itself it would end all of Hypercorn.

    One request is enough: a byte behind a WebSocket handshake (Hypercorn's issue 225), or an h2c
    upgrade with a broken ``HTTP2-Settings``; and with the server goes what is queued.
    """
    host: Any = sys.modules.get("hypercorn.trio.run")
    if host is None or issubclass(host.TCPServer, _Contained):
        return
    host.TCPServer = type("TCPServer", (_Contained, host.TCPServer), {})


class _Contained:
    """In front of Hypercorn's server of one connection."""

    _is_over = False

    async def run(self) -> None:
        try:
            await super().run()  # type: ignore[misc]
        except* Exception:
            log.exception("a connection ended by an error of its host")

    async def _read_data(self) -> None:
        try:
            await super()._read_data()  # type: ignore[misc]
        except Exception:
            # Here and not in ``run``, where it would have cancelled whatever is being answered.
            from hypercorn.events import Closed

            log.exception("a connection ended by an error of its host")
            await self.protocol.handle(Closed())  # type: ignore[attr-defined]
        # Nothing more will come. Its timer would keep the connection until the idle timeout, and
        # with it the socket of every client that has hung up.
        self._is_over = True
        await self.idle_task.stop()  # type: ignore[attr-defined]
        # And over HTTP/2 a reply that nobody takes any more is waited for without an end.
        protocol: Any = self.protocol.protocol  # type: ignore[attr-defined]
        for reply in getattr(protocol, "stream_buffers", {}).values():
            await reply.close()

    async def _idle_timeout(self) -> None:
        if self._is_over:  # the reply to a request in hand has started the timer again
            await self._initiate_server_close()  # type: ignore[attr-defined]
        else:
            await super()._idle_timeout()  # type: ignore[misc]


class _FromEnvironment:
    """``app``: made of the environment when the server starts it, not when it is imported."""

    def __init__(self) -> None:
        self._application: Application | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        problem = None
        if self._application is None:
            try:
                self._application = application_from(os.environ)
            except UsageError as error:
                if scope["type"] != "lifespan":
                    raise
                problem = str(error)
        if self._application is None:  # said outside of the handler: no traceback of ours with it
            await receive()
            await send({"type": "lifespan.startup.failed", "message": problem})
        else:
            await self._application(scope, receive, send)


def application_from(environment: Mapping[str, str]) -> Application:
    """Make the application that ``TRIO_STAGES_STAGE`` and the other variables describe.

    Raises:
        UsageError: no such stage, or a bad value.
    """
    number = environment.get("TRIO_STAGES_STAGE", "")
    if not number.isdecimal() or not FIRST_STAGE <= int(number) <= max(STAGES):
        last = max(STAGES)
        raise UsageError(f"TRIO_STAGES_STAGE: {number!r} is no stage from {FIRST_STAGE} to {last}")
    module = STAGES[int(number)].load()
    settings = parse_settings(int(number), module.DEFAULTS, [], environment)
    return Application(module.serve, Telemetry(settings))


app = _FromEnvironment()
