"""Stages 1 to 4: who is answered while others say nothing, send garbage, or hold the lock."""

from __future__ import annotations

from collections import Counter
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from clients.catalogue import ACCEPTED, CATALOGUE
from clients.garbage import probe
from clients.http import Connection, NoReply, Target
from clients.loads import LOADS
from clients.slow import observe
from clients.spawn import spawned
from trio_stages.events import InvalidEvent, parse_event

from .registry import Experiment, Findings
from .results import Column, Comparison, Table
from .verdicts import judge, known

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bench import Bench

GROUP = "The document's tables: stages 1 to 4"
SILENT = 20
HUNDREDS = 300
PATIENCE_S, QUICK_PATIENCE_S = 2.0, 1.0
PROBE_TIMEOUT_S = 2.0


async def freeze(bench: Bench) -> Findings:
    """Silent clients in front of stage 1 and stage 2."""
    patience_s = QUICK_PATIENCE_S if bench.quick else PATIENCE_S
    rows = []
    seen = {}
    threads: list[int] = []

    def count_threads(pid: int) -> None:
        threads.append(_threads(pid))

    for step, (stage, silent) in enumerate(((1, 1), (1, SILENT), (2, SILENT), (2, HUNDREDS))):
        bench.on_progress(f"{silent} silent clients, stage {stage}", step, 4)
        async with spawned(stage) as server:
            observation = await observe(
                server.url,
                silent,
                timeout_s=patience_s,
                before_they_leave=partial(count_threads, server.pid),
            )
        seen[stage, silent] = observation
        beside = observation.answered_beside_ms
        rows.append(
            (
                float(stage),
                float(silent),
                beside if beside is not None else f"no answer in {patience_s:g} s",
                observation.answered_after_ms,
            )
        )
    frozen, first = seen[1, SILENT], seen[1, 1]
    free, many = seen[2, SILENT], seen[2, HUNDREDS]

    def text(beside_ms: float | None) -> str:
        return "no answer" if beside_ms is None else f"answered after {beside_ms:.1f} ms"

    return Findings(
        comparisons=(
            Comparison(
                quantity=f"a good client beside {SILENT} silent ones, stage 1",
                document="frozen",
                measured=text(frozen.answered_beside_ms),
            ),
            Comparison(
                quantity=f"a good client beside {SILENT} silent ones, stage 2",
                document="answered at once",
                measured=text(free.answered_beside_ms),
            ),
        ),
        tables=(
            Table(
                title="The same good request, with the silent clients there and after they left",
                columns=(
                    Column("stage", "", "setting"),
                    Column("silent clients", "", "setting"),
                    Column("answered beside them", "ms", "measured", 1),
                    Column("answered after they left", "ms", "measured", 1),
                ),
                rows=tuple(rows),
            ),
        ),
        verdicts=(
            judge(
                "One silent client is enough to freeze a blocking server for everybody.",
                first.answered_beside_ms is None and frozen.answered_beside_ms is None,
                f"beside 1 silent client: {text(first.answered_beside_ms)}; "
                f"beside {SILENT}: {text(frozen.answered_beside_ms)} (within {patience_s:g} s)",
                "document",
            ),
            judge(
                "When the silent clients leave, the frozen server answers what has waited.",
                first.answered_after_ms is not None and frozen.answered_after_ms is not None,
                f"{text(frozen.answered_after_ms)}",
            ),
            judge(
                "With a task for each connection a slow client harms nobody else.",
                free.answered_beside_ms is not None and many.answered_beside_ms is not None,
                f"beside {SILENT}: {text(free.answered_beside_ms)}; "
                f"beside {HUNDREDS}: {text(many.answered_beside_ms)}",
                "document",
            ),
            judge(
                "Hundreds of connections need one thread.",
                threads[-1] == 1 if threads[-1] else None,
                f"{threads[-1]} thread(s) with {HUNDREDS + 1} connections"
                if threads[-1]
                else "this system has no /proc",
                "document",
            ),
        ),
    )


def _threads(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(status.partition("Threads:")[2].split()[0])


async def garbage(bench: Bench) -> Findings:
    """Every row of the malformed catalogue at stage 3, and good requests between them."""
    async with spawned(3) as server:
        target = await Target.locate(server.url)
        seen = []
        neighbour_wrong = 0
        with Connection(target) as neighbour:
            good = target.request("POST", "/", LOADS[3].bodies()[0])
            for number, row in enumerate(CATALOGUE):
                bench.on_progress("garbage", number, len(CATALOGUE))
                seen.append(await probe(target, row, 3, timeout_s=PROBE_TIMEOUT_S))
                try:
                    neighbour_wrong += (await neighbour.request(good)).status != 200
                except NoReply:
                    neighbour_wrong += 1
            stats = await neighbour.get_json("/stats")
    # The neighbour's, one beside each row, and the rows that are valid events themselves.
    events = len(CATALOGUE) + sum(row.status == ACCEPTED for row in CATALOGUE)
    wrong = [each.name for each in seen if not each.ok]
    latencies_ms = [each.latency_ms for each in seen if each.status and each.status != 408]
    return Findings(
        comparisons=(
            Comparison(quantity="malformed requests tried", document=3, measured=len(seen)),
            Comparison(quantity="crashes", document=0, measured=int(server.exit_status != 0)),
            Comparison(
                quantity="good requests of a neighbour answered wrong", measured=neighbour_wrong
            ),
            Comparison(
                quantity="time to a refusal, median",
                unit="ms",
                measured=known(median(latencies_ms)),
                digits=2,
            ),
        ),
        tables=(
            Table(
                title="What was sent, and what came back",
                columns=(
                    Column("request"),
                    Column("reply", "", "measured"),
                    Column("connection", "", "measured"),
                    Column("expected", "", "document"),
                ),
                rows=tuple(
                    (
                        each.name,
                        f"{each.status or ''} {each.reason}".strip(),
                        each.connection,
                        each.expected if each.ok else f"{each.expected}, differs",
                    )
                    for each in seen
                ),
            ),
        ),
        verdicts=(
            judge(
                "Whatever is sent, the server neither crashes nor hangs, and refuses predictably.",
                not wrong and server.exit_status == 0,
                f"{len(seen) - len(wrong)} of {len(seen)} rows as the contract has it"
                + (f"; not: {', '.join(wrong)}" if wrong else "")
                + f"; it then stopped with exit status {server.exit_status}",
                "document",
            ),
            judge(
                "Garbage on one connection is never answered on another.",
                not neighbour_wrong and stats["accepted"] == events,
                f"{len(seen) - neighbour_wrong} of {len(seen)} good requests in between answered "
                f"200; the server counted {stats['accepted']} events of {events}",
            ),
        ),
    )


async def header_case(bench: Bench) -> Findings:
    """The document's bug of stage 6, on its client's 5000 requests."""
    exhibit = import_module("docs.exhibits.naive_parser")
    load = LOADS[7]
    bodies = load.bodies()

    def errors(body_of: Callable[[bytes], tuple[bytes, bytes]], field: str) -> int:
        answers: Counter[bool] = Counter()
        for user in load.users_in_order():
            head = f"POST / HTTP/1.1\r\nhost: lab\r\n{field}{len(bodies[user])}\r\n\r\n".encode()
            try:
                parse_event(body_of(head + bodies[user])[0])
                answers[True] += 1
            except InvalidEvent:
                answers[False] += 1
        return answers[False]

    naive = errors(exhibit.naive_body, "content-length: ")
    curl = errors(exhibit.naive_body, "Content-Length: ")
    fixed = errors(exhibit.fixed_body, "content-length: ")
    return Findings(
        comparisons=(
            Comparison(
                quantity="errors of 5000, lower-case header, naive parser",
                document="all",
                original=5000,
                measured=naive,
            ),
            Comparison(
                quantity="errors of 5000, lower-case header, after the fix",
                document=0,
                measured=fixed,
            ),
        ),
        verdicts=(
            judge(
                "A parser that compares header names by case refuses every event of a client that "
                "writes them in lower case, and none of curl's.",
                (naive, curl) == (load.requests, 0),
                f"{naive} errors with content-length, {curl} with Content-Length",
                "document",
            ),
            judge(
                "Comparing names without regard to case cures it.",
                fixed == 0,
                f"{fixed} errors of {load.requests}",
                "document",
            ),
        ),
    )


EXPERIMENTS = (
    Experiment(
        id="freeze",
        group=GROUP,
        stages=(1, 2),
        title="The freeze",
        question="Is a good client answered while twenty others say nothing?",
        mode="real",
        run=freeze,
        command="python -m trio_stages 1 & python -m clients.slow --connections 20",
    ),
    Experiment(
        id="garbage",
        group=GROUP,
        stages=(3,),
        title="Garbage",
        question="What does a server say to what is no request, or no event?",
        mode="real",
        run=garbage,
        command="python -m trio_stages 3 & python -m clients.garbage",
    ),
    Experiment(
        id="header-case",
        group=GROUP,
        stages=(6,),
        title="The header that was written in lower case",
        question="What does one capital letter cost?",
        mode="machine",
        run=header_case,
        command="python -m pytest tests/test_exhibits.py",
    ),
)
