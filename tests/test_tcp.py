"""The stream and the readiness alone: what the server would show once in a million times."""

from __future__ import annotations

import errno
import socket
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import pytest
import trio

from trio_stages import readiness as readiness_module
from trio_stages.readiness import Readiness, open_readiness
from trio_stages.tcp import TcpStream
from trio_stages.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[TcpStream, socket.socket]]:
    """A stream, and the other end of it."""
    ours, theirs = socket.socketpair()
    with theirs, trio.fail_after(20):
        async with (
            open_readiness(Turns(lambda: 0)) as readiness,
            TcpStream(ours, readiness) as stream,
        ):
            yield stream, theirs


async def test_one_read_full_after_the_other_can_be_cancelled_and_loses_nothing() -> None:
    async with pair() as (stream, theirs):
        theirs.sendall(b"abc")
        read = []
        with trio.CancelScope() as scope:
            scope.cancel()
            while True:
                read.append(await stream.receive_some(1))
        assert scope.cancelled_caught
        assert read == [b"a"]
        assert await stream.receive_some(1) + await stream.receive_some(1) == b"bc"


async def test_news_of_an_end_that_was_another_connections_is_forgotten() -> None:
    async with pair() as (stream, theirs):
        stream._tell(True)
        assert stream.receive_nowait(10) is None
        theirs.sendall(b"a")
        assert stream.receive_nowait(10) == b"a"
        assert not stream.may_read


async def test_what_cannot_be_watched_is_let_go(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def register(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Readiness, "register", register)
    async with pair() as (stream, _):
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(1)
    assert [record.getMessage() for record in caplog.records] == [
        "cannot wait for a client: No space left on device; it has to go"
    ]


async def test_all_are_told_however_many_the_kernel_names_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not readiness_module.HAVE_EPOLL:
        pytest.skip("nobody is told anything")
    monkeypatch.setattr(readiness_module, "EVENTS_AT_A_TIME", 2)
    told: set[int] = set()

    def tell(number: int, end_is_near: bool) -> bool:
        told.add(number)
        return False

    pairs = [socket.socketpair() for _ in range(11)]
    async with open_readiness(Turns(lambda: 0)) as readiness:
        for number, (ours, _) in enumerate(pairs):
            readiness.register(ours, partial(tell, number))
        await readiness.catch_up()
        for _, theirs in pairs:
            theirs.send(b"a")
        await readiness.catch_up()
        assert told == set(range(11))
        for ours, theirs in pairs:
            readiness.forget(ours)
            ours.close()
            theirs.close()
