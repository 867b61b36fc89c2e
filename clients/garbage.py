"""``python -m clients.garbage``: every row of the malformed catalogue, and what came back.

Each row has a connection of its own. Whether the server ended it is not guessed from a pause: a
good request follows the reply on the same connection. It is answered 200, or the connection has
ended; anything else, such as a reply to the rest of a body or one too many, differs.

Exit status 0 if every row is as the contract has it (at stages 1 and 2: whatever came), else 1.
"""

from __future__ import annotations

import dataclasses
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import trio

from . import command
from .catalogue import ACCEPTED, CATALOGUE, Row
from .drain import stats_of
from .http import ClientError, Connection, NoReply, Target, connect
from .replies import BadReply, Reply, parse_reply

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one row got; the fields are the keys of a row in ``--json``.

    Attributes:
        name: of the row.
        status: of the reply; None if there was none.
        reason: the reply's own word for it, or what came instead of a reply.
        connection: after the reply: ``closed``, ``kept``, ``hangs`` (not ended, but no answer in
            time), or what came instead of the answer to a good request.
        latency_ms: from the first byte sent to the whole reply, or to the end.
        expected: in words; empty at stages 1 and 2.
        ok: whether it was as expected; always at stages 1 and 2.
    """

    name: str
    status: int | None
    reason: str
    connection: str
    latency_ms: float
    expected: str
    ok: bool


async def probe(target: Target, row: Row, stage: int | None, *, timeout_s: float) -> Seen:
    """Send one row over a new connection and see what becomes of it.

    Args:
        target: the server.
        row: of the catalogue.
        stage: the server's; None for one without ``/stats`` (1 and 2): nothing is expected.
        timeout_s: how long a reply may take, in seconds.

    Raises:
        ClientError: the server cannot be reached.
    """
    answer: Reply | str = "no answer in time"
    connection = "hangs"
    async with await connect(target) as stream:
        started = trio.current_time()
        with trio.move_on_after(timeout_s):
            answer = await _exchange(stream, row.send, half_close=row.half_close)
        latency_ms = (trio.current_time() - started) * 1000
        with trio.move_on_after(timeout_s):
            good = b"" if row.half_close else target.request("GET", "/health")
            connection = _connection(await _exchange(stream, good))
    status = answer.status if isinstance(answer, Reply) else None
    return Seen(
        name=row.name,
        status=status,
        reason=_reason(answer),
        connection=connection,
        latency_ms=latency_ms,
        expected=_expected(row, stage) if stage else "",
        ok=not stage or _as_expected(row, stage, answer, connection),
    )


async def _exchange(
    stream: trio.SocketStream, data: bytes, *, half_close: bool = False
) -> Reply | str:
    """Send and receive; return the reply, or what came instead of one."""
    received = b""
    try:
        try:
            if data:
                await stream.send_all(data)
            if half_close:
                await stream.send_eof()
        except trio.BrokenResourceError:
            pass  # the server need not read to the end in order to refuse
        while True:
            more = await stream.receive_some()
            if not more and not received:
                return "closed"
            received += more
            if reply := parse_reply(received, eof=not more):
                return reply
    except trio.BrokenResourceError:
        return "reset"
    except BadReply as error:
        return f"bad reply: {error}"


def _reason(answer: Reply | str) -> str:
    if isinstance(answer, str):
        return answer
    content = answer.json()
    word = content.get("reason") or content.get("status") if isinstance(content, dict) else None
    words = str(word or f"({len(answer.body)} bytes)")
    return f"{words}, Allow: {answer.allow}" if answer.allow else words


def _connection(answer: Reply | str) -> str:
    if isinstance(answer, str):
        return "closed" if answer == "reset" else answer
    return "kept" if answer.status == 200 else f"{answer.status} {_reason(answer)}"


def _status(row: Row, stage: int) -> int:
    if row.status != ACCEPTED:
        return row.status
    return 200 if stage < 5 else 202


def _expected(row: Row, stage: int) -> str:
    words = [str(_status(row, stage)), row.reason or "", _end(row)]
    return " ".join(filter(None, words)) + (", or just closed" if row.half_close else "")


def _end(row: Row) -> str:
    return "closed" if row.close else "kept"


def _as_expected(row: Row, stage: int, answer: Reply | str, connection: str) -> bool:
    if isinstance(answer, str):
        return row.half_close and answer == "closed"
    content = answer.json()
    return (
        answer.status == _status(row, stage)
        and connection == _end(row)
        and isinstance(content, dict)
        and row.reason in (None, content.get("reason"))
        and (answer.status != 405 or bool(answer.allow))
    )


def table(rows: Sequence[Seen]) -> str:
    """The rows as aligned plain text."""
    cells = [("request", "reply", "connection", "ms", "expected")]
    for row in rows:
        reply = f"{row.status or '-'} {row.reason}"
        expected = row.expected if row.ok else f"{row.expected}  <-- DIFFERS"
        cells.append((row.name, reply, row.connection, f"{row.latency_ms:.1f}", expected))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        f"{name:<{widths[0]}}  {reply:<{widths[1]}}  {connection:<{widths[2]}}"
        f"  {ms:>{widths[3]}}  {expected}".rstrip()
        for name, reply, connection, ms, expected in cells
    )


async def _command(options: argparse.Namespace) -> int:
    target = await Target.locate(options.url)
    with Connection(target) as connection:
        stats = await stats_of(connection)
    stage = stats["stage"] if stats else None
    rows: list[Seen] = []
    broken_off = None
    with command.progress() as update:
        for row in CATALOGUE:
            update(row.name, len(rows), len(CATALOGUE))
            try:
                rows.append(await probe(target, row, stage, timeout_s=options.timeout))
            except ClientError as error:
                broken_off = f"broken off at {row.name!r}: {error}"
                break
    print(table(rows))
    if broken_off:
        print(f"\n{broken_off}")
    wrong = sum(not row.ok for row in rows)
    verdict = f"{wrong} differ" if wrong else "all as expected"
    print(f"\n{len(rows)} rows, " + (verdict if stage else "no expectations before stage 3"))

    started = trio.current_time()
    status = None
    with Connection(target) as connection, trio.move_on_after(options.timeout), suppress(NoReply):
        status = (await connection.request(target.request("GET", "/health"))).status
    serves = status == 200
    elapsed_ms = (trio.current_time() - started) * 1000
    print(f"the server still serves: {status or 'no reply'} after {elapsed_ms:.1f} ms")
    content = {"stage": stage, "rows": [dataclasses.asdict(row) for row in rows], "serves": serves}
    command.write_json(options.json, content)
    return 1 if wrong or broken_off or not serves else 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = command.parser("garbage", "The malformed catalogue, and the server's replies.")
    command.add_url(parser)
    parser.add_argument(
        "--timeout",
        type=command.positive_float,
        default=2.0,
        metavar="S",
        help="how long a reply may take, in seconds (default: %(default)g)",
    )
    return command.run(partial(_command, parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
