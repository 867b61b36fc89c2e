"""Where the hostile table is tried: a stage on our own server or on Hypercorn; a plain client."""

from __future__ import annotations

import queue
import socket
import threading
from collections import Counter
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import outcome
import pytest
import trio
from hostile import ACCEPTED, NO_EVENT
from support import (
    PATIENCE_S,
    Response,
    broken_rules,
    parse_response,
    running,
    settings_of,
    stage_module,
)

from trio_stages.asgi import serve_hypercorn
from trio_stages.runner import bind
from trio_stages.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def ours(stage: int, **overrides: Any) -> AsyncIterator[tuple[int, Telemetry]]:
    """Our own server, on a real socket, its books looked at after every step; yields the port."""
    async with running(stage, tcp=True, work_ms=0, hold_ms=0, **overrides) as server:
        yield server.port, server.telemetry


@asynccontextmanager
async def hypercorn(stage: int, **overrides: Any) -> AsyncIterator[tuple[int, Telemetry]]:
    """The same on Hypercorn."""
    listening = bind("127.0.0.1", 0)
    port = listening.getsockname()[1]
    telemetry = Telemetry(settings_of(stage, work_ms=0, hold_ms=0, **overrides))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trio_stages.asgi.LAST_CALL_S", 0.02)  # every refusal takes as long
        async with trio.open_nursery() as nursery:
            serve = stage_module(stage).serve
            await nursery.start(serve_hypercorn, serve, listening, telemetry)
            yield port, telemetry
            nursery.cancel_scope.cancel()


class Host:
    """A stage on one of the two, in a thread of its own, so that many tests may share it."""

    def __init__(self, host: str, stage: int) -> None:
        self._open = {"ours": ours, "hypercorn": hypercorn}[host]
        self._stage = stage
        self._started: queue.Queue[tuple[trio.lowlevel.TrioToken, trio.Event]] = queue.Queue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._token, self._stop = self._started.get(timeout=PATIENCE_S)

    def _run(self) -> None:
        self._outcome = outcome.capture(trio.run, self._serve)

    async def _serve(self) -> None:
        stop = trio.Event()
        async with self._open(self._stage) as (self.port, self.telemetry):
            self._started.put((trio.lowlevel.current_trio_token(), stop))
            await stop.wait()

    def stop(self) -> None:
        """Stop it; raise what it ended with, or what was wrong with its books."""
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._stop.set)
        self._thread.join(PATIENCE_S)
        self._outcome.unwrap()

    def counts(self) -> Counter[str]:
        """What the ledger has counted."""
        books = self.telemetry.ledger.statistics()
        assert broken_rules(books) == []
        return Counter(
            accepted=books.accepted, invalid=books.invalid, http_errors=books.http_errors
        )


def converse(port: int, data: bytes, *, end: bool = False) -> bytes:
    """Send all of it on one connection, and return what comes until the server ends it.

    Args:
        port: of the server.
        data: to be sent in one write.
        end: whether to end our half of the connection behind it.
    """
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        with suppress(ConnectionError):  # a server need not read on when it has answered
            client.sendall(data)
            if end:
                client.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while part := client.recv(65_536):
                received += part
    return bytes(received)


def replies(received: bytes, *, to_head: bool = False) -> list[str]:
    """What was answered: ``accepted``, or status and reason; of interim replies only 101."""
    said: list[str] = []
    data = bytearray(received)
    while data:
        if data.startswith((b"HTTP/1.1 100 ", b"HTTP/1.1 101 ")):
            if data.startswith(b"HTTP/1.1 101 "):
                said.append("101")
            del data[: data.index(b"\r\n\r\n") + 4]
        elif response := parse_response(data, head=to_head and not said):
            said.append(summary(response))
        else:
            is_settings = data[3:5] == b"\x04\x00"  # the type of a frame, and its flags
            said.append("HTTP/2" if is_settings else f"no reply: {bytes(data[:50])!r}")
            break
    return said


def summary(response: Response) -> str:
    """``accepted``, or status and reason."""
    if not response.body:
        return str(response.status)
    if response.json == {"status": "accepted"}:
        return ACCEPTED
    return f"{response.status} {response.json.get('reason', '')}".rstrip()


#: What Hypercorn answers by itself: no body, and nobody counts it.
BARE = ("101", "400", "403", "431", "501")


def barely(said: list[str]) -> list[str]:
    """The same replies, where h11 refuses for Hypercorn."""
    return [reply[:3] if reply[:3] in BARE and reply != NO_EVENT else reply for reply in said]


def counted(said: list[str], bare: tuple[str, ...] = BARE) -> Counter[str]:
    """What the ledger must have counted for these replies, those excepted that are ``bare``."""
    counts = Counter(accepted=0, invalid=0, http_errors=0)
    for reply in said:
        if reply == ACCEPTED:
            counts["accepted"] += 1
        elif reply == NO_EVENT:
            counts["invalid"] += 1
        elif reply[0] in "45" and reply not in bare:
            counts["http_errors"] += 1
    return counts
