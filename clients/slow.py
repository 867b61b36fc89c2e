"""``python -m clients.slow``: silent connections, and one good client beside them.

A server that reads from one connection at a time is frozen by the first client that says nothing.
The silent ones come first, then the good one; if it is not answered in time its request stays
where it is, the silent ones leave, and the same request shows whether the server lives again.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import trio

from . import command
from .http import Connection, NoReply, Target, connect

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

# What a dripping client says, a byte at a time, over and over: a head that never ends.
DRIP = b"POST / HTTP/1.1\r\nHost: slow\r\n" + b"X-Slow: drip\r\n" * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the good client saw; the fields are the keys of ``--json``.

    Attributes:
        connections: silent ones.
        timeout_s: how long the good client waits.
        answered_beside_ms: ms from its request to the reply while the silent ones were there;
            None: no reply in time.
        status_beside: of that reply.
        answered_after_ms: ms from the moment the silent ones began to leave to the reply to the
            same request, if it was still open; otherwise from when they had left to the reply to a
            second one; None: no reply in time.
        status_after: of that reply.
    """

    connections: int
    timeout_s: float
    answered_beside_ms: float | None
    status_beside: int | None
    answered_after_ms: float | None
    status_after: int | None

    def lines(self) -> list[str]:
        """For people."""
        if self.answered_beside_ms is None:
            first = f"no answer within {self.timeout_s:.1f} s"
            if self.answered_after_ms is not None:  # so it was the silent ones that it waited for
                first += ": the server is frozen"
        else:
            first = f"answered {self.status_beside} after {self.answered_beside_ms:.1f} ms"
        if self.answered_after_ms is None:
            second = f"no answer within {self.timeout_s:.1f} s after the silent clients left"
        else:
            second = (
                f"answered {self.status_after} {self.answered_after_ms:.1f} ms "
                "after the silent clients left"
            )
        return [first, second]


class _GoodClient:
    """One ``GET /health``, whose reply may be waited for in several steps."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._over = trio.Event()
        self._failure: NoReply | None = None
        self.status: int | None = None
        self.answered_at = 0.0

    async def run(self) -> None:
        """Send the request and wait for the reply, or for the end of the connection."""
        with Connection(self._target) as connection:
            try:
                reply = await connection.request(self._target.request("GET", "/health", close=True))
                self.status = reply.status
            except NoReply as error:
                self._failure = error
            self.answered_at = trio.current_time()
            self._over.set()

    async def answered(self, since: float, within_s: float) -> float | None:
        """Wait; return the ms from ``since`` to the reply, None if there is none in time."""
        with trio.move_on_after(within_s):
            await self._over.wait()
            if self._failure is not None:
                raise self._failure
            return (self.answered_at - since) * 1000
        return None


async def observe(
    url: str,
    connections: int,
    *,
    timeout_s: float = 2.0,
    drip_s: float | None = None,
    before_they_leave: Callable[[], object] = lambda: None,
) -> Observation:
    """Open silent connections, send a good request, close the silent ones, and time the replies.

    Args:
        url: of the server.
        connections: how many silent ones.
        timeout_s: how long the good client waits, each time.
        drip_s: the silent ones send a byte every so many seconds; None: nothing at all.
        before_they_leave: called while all of them are still there.

    Raises:
        ClientError: the server is not there, or dropped the good client.
    """
    target = await Target.locate(url)
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as silent:
            for _ in range(connections):
                silent.start_soon(_say_little, await connect(target), drip_s)
            good = _GoodClient(target)
            started = trio.current_time()
            nursery.start_soon(good.run)
            beside_ms = await good.answered(started, timeout_s)
            beside = good.status
            before_they_leave()
            # With the first of them a frozen server goes on, before the last has left.
            left = trio.current_time()
            silent.cancel_scope.cancel()
        if beside_ms is not None:
            left = trio.current_time()
            good = _GoodClient(target)
            nursery.start_soon(good.run)
        after_ms = await good.answered(left, timeout_s)
        nursery.cancel_scope.cancel()
    return Observation(
        connections=connections,
        timeout_s=timeout_s,
        answered_beside_ms=beside_ms,
        status_beside=beside,
        answered_after_ms=after_ms,
        status_after=good.status,
    )


async def _say_little(stream: trio.SocketStream, drip_s: float | None) -> None:
    async with stream:
        if drip_s is None:
            await trio.sleep_forever()
        for number in range(len(DRIP)):
            try:
                await stream.send_all(DRIP[number : number + 1])
            except trio.BrokenResourceError:  # the server has had enough of it
                return
            await trio.sleep(drip_s)


async def _command(options: argparse.Namespace) -> int:
    kind = "silent" if options.drip is None else "dripping"
    print(f"{options.connections} {kind} connections and a good one beside them:", flush=True)
    seen = await observe(
        options.url, options.connections, timeout_s=options.timeout, drip_s=options.drip
    )
    print("\n".join(seen.lines()))
    command.write_json(options.json, dataclasses.asdict(seen))
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = command.parser("slow", "Silent connections, and one good client beside them.")
    command.add_url(parser)
    parser.add_argument("--connections", type=command.positive, default=20, metavar="N")
    parser.add_argument(
        "--drip", type=command.positive_float, metavar="S", help="each sends a byte every S seconds"
    )
    parser.add_argument(
        "--timeout",
        type=command.positive_float,
        default=2.0,
        metavar="S",
        help="how long the good client waits, in seconds (default: %(default)g)",
    )
    return command.run(partial(_command, parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
