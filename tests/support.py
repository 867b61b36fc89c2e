"""What several test files need: a server in this process or in one of its own, and a client.

- ``running(stage)``: the stage's own ``serve`` in a nursery, over memory streams (for virtual
  time) or real sockets, with a ``Watch`` that looks at the books after every step of every task.
- ``spawned(stage)``: ``python -m trio_stages N --port 0`` as a process.
- ``Client``: HTTP on a Trio stream; ``exchange``: the same for plain code, bytes in, replies out.
"""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair

from trio_stages.events import Event
from trio_stages.ladder import STAGES
from trio_stages.ledger import Job, LedgerStatistics
from trio_stages.options import Settings, parse_settings
from trio_stages.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
EVENT = b'{"user":"alice","action":"buy","amount":100}'
# For whatever ought to come at once, but on a busy machine may take a while.
PATIENCE_S = 20.0
# Longer than any run in virtual time here. A heartbeat ticks in every server, so such a clock never
# stands still: what waits in vain waits for this, a few milliseconds of real time.
VIRTUAL_PATIENCE_S = 300.0


def event(user: str = "alice", amount: int = 100) -> bytes:
    """A valid event as a client would send it."""
    return json.dumps({"user": user, "action": "buy", "amount": amount}).encode()


def job(user: str = "alice", amount: int = 100) -> Job:
    """A job that nobody has accepted yet."""
    return Job(Event(user=user, action="buy", amount=amount))


# The books


def broken_rules(books: LedgerStatistics) -> list[str]:
    """What is wrong with one snapshot: the two invariants, and that nothing is less than none."""
    b = books
    counters = [each.name for each in fields(b) if each.name != "processed_amount"]
    problems = [f"{name} < 0" for name in counters if getattr(b, name) < 0]
    if b.received != b.accepted + b.rejected + b.invalid:
        problems.append("received != accepted + rejected + invalid")
    if b.accepted != b.processed + b.failed + b.queued + b.in_hand + b.abandoned:
        problems.append("accepted != processed + failed + queued + in_hand + abandoned")
    return [f"{problem}: {b}" for problem in problems]


NEVER_FALL = (
    *("received", "accepted", "rejected", "invalid", "http_errors"),
    *("processed", "failed", "abandoned"),
)


class Watch(trio.abc.Instrument):
    """Looks at a stage's books after every step of every task; what it sees is asserted at the end.

    Attributes:
        history: every snapshot that differed from the one before, and when it was seen.
        problems: what broke a rule, with the snapshot.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        settings = telemetry.settings
        self._telemetry = telemetry
        # Stage 4 has one lock and no bound on those who wait for it.
        self._capacity = settings.capacity if settings.stage >= 5 else math.inf
        self._workers = settings.workers
        self.history = [(trio.current_time(), telemetry.ledger.statistics())]
        self.problems: list[str] = []
        self._waiting: list[tuple[Callable[[LedgerStatistics], bool], trio.Event]] = []

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Compare this moment's snapshot with the rules, and with the one before."""
        _, before = self.history[-1]
        now = self._telemetry.ledger.statistics()
        if now == before:
            return
        self.history.append((trio.current_time(), now))
        problems = broken_rules(now)
        problems += [f"{n} fell" for n in NEVER_FALL if getattr(now, n) < getattr(before, n)]
        if now.queued > self._capacity:
            problems.append(f"queued {now.queued} > capacity {self._capacity}")
        if now.in_hand > self._workers:
            problems.append(f"in_hand {now.in_hand} > workers {self._workers}")
        # Jobs come into a hand in this thread alone: nothing is applied while we look.
        if not now.in_hand:
            total = sum(self._telemetry.peek_balances().values())
            if total != now.processed_amount:
                problems.append(f"balances {total} != processed_amount {now.processed_amount}")
        self.problems += problems
        for condition, event in self._waiting:
            if condition(now):
                event.set()

    async def until(self, condition: Callable[[LedgerStatistics], bool]) -> None:
        """Return as soon as the books have fulfilled the condition after somebody's step."""
        if not condition(self._telemetry.ledger.statistics()):
            event = trio.Event()
            self._waiting.append((condition, event))
            await event.wait()

    def times_of(self, counter: str) -> list[float]:
        """When a counter rose: once for each time it was seen higher than before."""
        return [
            at_s
            for (_, before), (at_s, after) in zip(self.history, self.history[1:], strict=False)
            if getattr(after, counter) > getattr(before, counter)
        ]


# A server in this process


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """Accepts what ``connect`` makes: no sockets, so that time may be virtual."""

    def __init__(self) -> None:
        self._connect, self._accept = trio.open_memory_channel[trio.abc.Stream](math.inf)
        self.closed = False

    def connect(self, *, lockstep: bool = False) -> trio.abc.HalfCloseableStream:
        """Return the client's end of a new connection (``lockstep``: see ``Server.connect``)."""
        ours, theirs = lockstep_stream_pair() if lockstep else memory_stream_pair()
        self._connect.send_nowait(theirs)
        return ours

    async def accept(self) -> trio.abc.Stream:
        return await self._accept.receive()

    async def aclose(self) -> None:
        self.closed = True
        self._accept.close()
        await trio.lowlevel.checkpoint()


def stage_module(stage: int) -> ModuleType:
    return STAGES[stage].load()


def settings_of(stage: int, **overrides: Any) -> Settings:
    """The stage's defaults, and what the test wants otherwise."""
    return replace(parse_settings(stage, stage_module(stage).DEFAULTS, [], {}), **overrides)


class Server:
    """One stage in this process."""

    def __init__(
        self, telemetry: Telemetry, watch: Watch, listener: MemoryListener | trio.SocketListener
    ) -> None:
        self.telemetry = telemetry
        self.watch = watch
        self.scope = trio.CancelScope()
        self.listener = listener
        #: For a graceful stop, where the stage can.
        self.stop_gracefully: Callable[[], None] | None = None
        self.ended = trio.Event()  #: its ``serve`` has returned

    @property
    def port(self) -> int:
        assert isinstance(self.listener, trio.SocketListener)
        return int(self.listener.socket.getsockname()[1])

    @property
    def books(self) -> LedgerStatistics:
        return self.telemetry.ledger.statistics()

    @property
    def balances(self) -> dict[str, int]:
        return self.telemetry.peek_balances()

    async def connect(self, *, lockstep: bool = False) -> Client:
        """Return a client on a new connection.

        Args:
            lockstep: nothing is sent before it is read; over memory streams only.
        """
        if isinstance(self.listener, MemoryListener):
            return Client(self.listener.connect(lockstep=lockstep))
        return Client(await trio.open_tcp_stream("127.0.0.1", self.port))

    async def post(self, body: bytes = EVENT) -> Response:
        """Send one event on a connection of its own, and return the reply."""
        async with await self.connect() as client:
            return await client.post(body)

    async def idle(self) -> None:
        """Return when no accepted job is outstanding."""
        await self.watch.until(lambda b: not (b.queued or b.in_hand or b.waiting))


@asynccontextmanager
async def running(stage: int, *, tcp: bool = False, **overrides: Any) -> AsyncIterator[Server]:
    """Run a stage's ``serve`` for the block; then cancel it, and look at its books, all along.

    Raises:
        trio.TooSlowError: the block took longer than anything here may take.

    Args:
        stage: its number.
        tcp: real loopback sockets and real time; else memory streams, and Trio's clock (which
            wants jobs in tasks: ``offload="task"`` is the default then).
        overrides: further settings.
    """
    if not tcp and stage >= 6:
        overrides.setdefault("offload", "task")
    settings = settings_of(stage, **overrides)
    tasks_only = settings.offload == "task" or stage < 6
    telemetry = Telemetry(settings, **({"clock": trio.current_time} if tasks_only else {}))
    listener: MemoryListener | trio.SocketListener
    if tcp:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    else:
        listener = MemoryListener()
    watch = Watch(telemetry)
    server = Server(telemetry, watch, listener)

    async def until_stopped(started: trio.Event) -> None:
        with server.scope:
            async with trio.open_nursery() as nursery:
                serve = stage_module(stage).serve
                server.stop_gracefully = await nursery.start(serve, listener, telemetry)
                started.set()
        server.ended.set()

    trio.lowlevel.add_instrument(watch)
    try:
        with trio.fail_after(PATIENCE_S if tcp else VIRTUAL_PATIENCE_S):
            async with listener, trio.open_nursery() as nursery:
                started = trio.Event()
                nursery.start_soon(until_stopped, started)
                await started.wait()
                yield server
                server.scope.cancel()
    finally:
        trio.lowlevel.remove_instrument(watch)
    assert not watch.problems, watch.problems[:5]
    end = server.books
    assert (end.queued, end.in_hand, end.waiting) == (0, 0, 0)
    assert sum(server.balances.values()) == end.processed_amount


# A client


@dataclass(frozen=True)
class Response:
    """One reply."""

    status: int
    headers: Mapping[str, str]  #: names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ConnectionEnded(Exception):
    """The server ended the connection where a reply was due."""


def request(
    method: str = "POST", path: str = "/", body: bytes = EVENT, *headers: str, close: bool = False
) -> bytes:
    """The bytes of one HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}", *headers]
    if close:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode() + body


def parse_response(data: bytearray, *, head: bool = False) -> Response | None:
    """Take one complete reply off the front of ``data``; None if some of it is missing."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    status_line, *lines = data[:end].decode("ascii").split("\r\n")
    version, status, _ = status_line.split(" ", 2)
    assert version == "HTTP/1.1", status_line
    pairs = [line.split(": ", 1) for line in lines]
    headers = {name.lower(): value for name, value in pairs}
    assert len(headers) == len(pairs), f"a field twice: {lines}"
    length = 0 if head else int(headers["content-length"])
    if len(data) < end + 4 + length:
        return None
    body = bytes(data[end + 4 : end + 4 + length])
    del data[: end + 4 + length]
    return Response(int(status), headers, body)


class Client(trio.abc.AsyncResource):
    """HTTP on one stream, which it owns."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self.stream = stream
        self._received = bytearray()

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def response(self, *, head: bool = False) -> Response:
        """Wait for the next reply (``head``: to a HEAD request, so that no body comes).

        Raises:
            ConnectionEnded: there is none.
        """
        while (response := parse_response(self._received, head=head)) is None:
            try:
                data = await self.stream.receive_some()
            except trio.BrokenResourceError:
                data = b""
            if not data:
                raise ConnectionEnded(bytes(self._received))
            self._received += data
        return response

    async def post(self, body: bytes = EVENT, path: str = "/") -> Response:
        await self.send(request("POST", path, body))
        return await self.response()

    async def get(self, path: str) -> Response:
        await self.send(request("GET", path, b""))
        return await self.response()

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self.stream)


def exchange(port: int, data: bytes, *, heads: int = 0) -> list[Response]:
    """Send all of it on one connection; return all replies up to the server's close.

    Blocks: for tests that are plain functions, or in a thread.

    Args:
        port: of a server that listens on 127.0.0.1.
        data: one request or several; the last one should ask for the close.
        heads: so many of the replies, the first ones, are to HEAD requests.
    """
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        client.sendall(data)
        while part := client.recv(65_536):
            received += part
    responses: deque[Response] = deque()
    while response := parse_response(received, head=len(responses) < heads):
        responses.append(response)
    assert not received, f"after the last reply: {bytes(received)!r}"
    return list(responses)


# A server in a process of its own


class Process:
    """A server that was started, and what it has said."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        self.process = process
        self._errors = errors
        assert process.stdout is not None
        self.first_line = process.stdout.readline()

    @property
    def port(self) -> int:
        return int(self.first_line.rpartition(":")[2])

    @property
    def stderr(self) -> str:
        """What it has logged so far."""
        return self._errors.read_text()

    def wait(self) -> Ended:
        """Wait for its end."""
        start_s = time.perf_counter()
        rest, _ = self.process.communicate()
        stdout = [self.first_line, *rest.splitlines()]
        took_s = time.perf_counter() - start_s
        return Ended(self.process.returncode, stdout, self.stderr, took_s)

    def stop(self, signum: int) -> Ended:
        """Send a signal, and wait for the end."""
        self.process.send_signal(signum)
        return self.wait()


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    status: int
    stdout: list[str]
    stderr: str
    took_s: float

    @property
    def final(self) -> dict[str, Any]:
        """The object in the last line."""
        (final,) = json.loads(self.stdout[-1]).values()
        assert isinstance(final, dict)
        return final


@contextmanager
def spawned(
    *arguments: str | int, code: str | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Start ``python -m trio_stages ARGUMENTS --port 0`` and wait for its first line.

    The process is killed after the block, or when it has run for a minute.

    Args:
        arguments: of the command line.
        code: run this with ``python -c`` instead of the module.
        environment: further variables.
    """
    program = ["-c", code] if code else ["-m", "trio_stages"]
    with (
        tempfile.NamedTemporaryFile() as errors,
        subprocess.Popen(
            [sys.executable, *program, *map(str, arguments), "--port", "0"],
            cwd=ROOT,
            env=os.environ | dict(environment or {}),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        limit = threading.Timer(60, process.kill)
        limit.start()
        try:
            yield Process(process, Path(errors.name))
        finally:
            limit.cancel()
            process.kill()


# A load that misbehaves


class Flood:
    """Clients on loopback sockets that post as fast as they are answered, until nobody listens.

    Attributes:
        statuses: of all replies.
        unanswered: requests, or connections, that ended without one.
        in_full_swing: set after 500 replies.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.statuses: list[int] = []
        self.unanswered = 0
        self.in_full_swing = trio.Event()

    async def client(self) -> None:
        """One of them: connect again and again, until nobody listens."""
        while True:
            try:
                stream = await trio.open_tcp_stream("127.0.0.1", self._port)
            except OSError:
                return
            async with Client(stream) as client:
                try:
                    await self._post(client)
                except (ConnectionEnded, trio.BrokenResourceError):
                    self.unanswered += 1

    async def _post(self, client: Client) -> None:
        while True:
            response = await client.post()
            self.statuses.append(response.status)
            if len(self.statuses) == 500:
                self.in_full_swing.set()
            if response.headers.get("connection") == "close":
                return


@dataclass
class Traffic:
    """What the clients of one ``misbehave`` have sent, and been promised."""

    sent: dict[str, int] = field(default_factory=dict)  #: user → its amounts, each a bit of its own
    promised: int = 0  #: replies that said "accepted"
    replies: Counter[int] = field(default_factory=Counter)  #: by status

    def event(self, user: str) -> bytes:
        """A new event of this user, with the next power of two for its amount."""
        amount = self.sent.get(user, 0) + 1
        self.sent[user] = amount * 2 - 1
        return event(user, amount)

    def check(self, server: Server) -> None:
        """Nothing was made up, nothing was applied twice, no promise went uncounted."""
        books, balances = server.books, server.balances
        assert self.promised <= books.accepted <= sum(bits(all_) for all_ in self.sent.values())
        for user, balance in balances.items():
            assert not balance & ~self.sent[user], f"{user} never sent {balance:b}"
        if server.telemetry.settings.stage >= 4:
            # Twice the same bit would carry: fewer bits than jobs.
            assert sum(bits(balance) for balance in balances.values()) == books.processed


def bits(number: int) -> int:
    return number.bit_count()


async def misbehave(
    server: Server,
    random: Random,
    *,
    clients: int,
    pause_s: float,
    stop_after_s: float,
    gracefully: bool = False,
) -> Traffic:
    """Post, err and vanish at any byte, from many clients; stop the server meanwhile.

    Args:
        server: is stopped.
        random: decides what everybody does.
        clients: how many at a time.
        pause_s: longest time between two things that a client does.
        stop_after_s: how long after the first reply the server is stopped.
        gracefully: then the clients go on until the server has come to its end.
    """
    traffic = Traffic()
    answering = trio.Event()

    async def client(random: Random, name: str) -> None:
        while not server.scope.cancel_called:
            with suppress(ConnectionEnded, trio.BrokenResourceError, OSError):
                async with await server.connect() as connection:
                    await visit(connection, random, name)
            await trio.sleep(random.uniform(0, pause_s))

    async def visit(connection: Client, random: Random, name: str) -> None:
        for _ in range(random.randint(1, 4)):
            user = random.choice([name, "shared"])
            if bits(traffic.sent.get(user, 0)) >= 60:  # an amount has 64 bits
                return
            match random.randint(0, 9):
                case 0:  # vanish inside a request
                    data = request(body=traffic.event(user))
                    await connection.send(data[: random.randint(1, len(data))])
                    return
                case 1:  # vanish with a reply outstanding
                    await connection.send(request(body=traffic.event(user)))
                    await trio.sleep(random.uniform(0, pause_s))
                    return
                case 2:  # two at once, and wait for one reply only
                    await connection.send(request(body=traffic.event(user)))
                    await connection.send(request(body=traffic.event(name)))
                    note(await connection.response())
                    return
                case 3:
                    note(await connection.post(b'{"user":'))
                case 4:
                    await connection.get(random.choice(["/stats", "/balances", "/nowhere"]))
                case _:
                    note(await connection.post(traffic.event(user)))
            await trio.sleep(random.uniform(0, pause_s))

    def note(response: Response) -> None:
        answering.set()
        traffic.replies[response.status] += 1
        traffic.promised += response.status in (200, 202)

    async with trio.open_nursery() as nursery:
        for number in range(clients):
            nursery.start_soon(client, Random(random.random()), f"user{number}")
        await answering.wait()
        await trio.sleep(stop_after_s)
        if gracefully:
            assert server.stop_gracefully is not None
            server.stop_gracefully()
            await server.ended.wait()
        server.scope.cancel()
        nursery.cancel_scope.cancel()
    return traffic
