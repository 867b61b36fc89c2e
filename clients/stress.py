"""``python -m clients.stress N``: the document's load for stage N, and the ledger afterwards.

Prints the document's own block, the latencies, the model's prediction beside what was measured,
the rate of the jobs during the flood and of the backlog after it, and whether the server's ledger
agrees with the client's. Exit status 1 if it does not.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from . import command, ledgercheck
from .drain import read_stats, rise_per_s, stats_of, watch_drain
from .flood import run_load
from .http import ClientError, Connection, Target
from .loads import LOADS, Load
from .prediction import Model
from .report import Report, heading
from .spawn import spawned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .flood import LoadResult

STALL_S = 30.0


def _ignore(description: str, done: int, total: int) -> None:
    pass


async def measure(
    stage: int,
    load: Load,
    url: str,
    *,
    stall_s: float = STALL_S,
    on_progress: Callable[[str, int, int], None] = _ignore,
    on_server: Callable[[int | None], None] = lambda stage: None,
) -> Report:
    """Run a load against a server, wait for its backlog and check its ledger.

    What is outstanding of an earlier load is waited for first.

    Args:
        stage: which stage the load is meant for; what the server can tell about itself decides
            what is checked.
        load: what to send.
        url: of the server.
        stall_s: give up waiting when nothing has happened for so many seconds.
        on_progress: called with what is being done, how much of it is, and of how much.
        on_server: called with the server's stage, None if it has no ``/stats``, before the load.

    Raises:
        ClientError: the server is not there, none of ours, or does not finish an earlier load; or
            this side ran out of sockets.
    """
    target = await Target.locate(url)
    with Connection(target) as control:
        before = await stats_of(control)
        on_server(before["stage"] if before else None)
        if before is None:
            result = await run_load(
                target,
                load,
                echo=True,
                stall_s=stall_s,
                on_progress=lambda done: on_progress("flood", done, load.requests),
            )
            return Report(stage=stage, result=result, differences=_echo_differences(result))
        if _outstanding(before):  # of an earlier load: its jobs are not to be counted as ours
            model = Model.of(before)
            rate_per_s = model.rate_per_s if model else math.inf
            on_drain = partial(on_progress, "drain of what was there")
            earlier = await watch_drain(control, rate_per_s, stall_s=stall_s, on_progress=on_drain)
            before = earlier.stats
            if earlier.stalled:
                raise ClientError(f"{url} does not finish what it has: {_left(before)}")
        balances = await control.get_json("/balances") or {}
        result = await run_load(
            target,
            load,
            stall_s=stall_s,
            on_progress=lambda done: on_progress("flood", done, load.requests),
        )
        report = Report(stage=stage, result=result, differences=(), stats=before)
        try:
            return await _settle(report, control, before, balances, stall_s, on_progress)
        except ClientError as error:
            return dataclasses.replace(report, differences=(f"not checked: {error}",))


async def _settle(
    report: Report,
    control: Connection,
    before: dict[str, Any],
    balances: dict[str, int],
    stall_s: float,
    on_progress: Callable[[str, int, int], None],
) -> Report:
    result = report.result
    model = Model.of(before)
    flooded = await read_stats(control)
    jobs_per_s = rise_per_s(before, flooded, result.duration_s)
    drain = await watch_drain(
        control,
        model.rate_per_s if model else math.inf,
        stall_s=stall_s,
        on_progress=partial(on_progress, "drain"),
    )
    differences = ledgercheck.check_sums(drain.stats)
    differences += ledgercheck.check_counters(result, before, drain.stats)
    if drain.stalled:
        differences.append(f"nothing was done for {stall_s:g} s, with {_left(drain.stats)}")
    if model is not None:
        stats, now = drain.stats, await control.get_json("/balances") or {}
        differences += ledgercheck.check_balances(result, balances, now)
        if not drain.stalled:
            # An unanswered request may be taken even now; so until nothing comes in between.
            while stats["processed"] != (again := await read_stats(control))["processed"]:
                stats, now = again, await control.get_json("/balances") or {}
            differences += ledgercheck.check_total(
                result.load.amount, (balances, before), (now, stats)
            )
    if before["stage"] == 4:
        differences += ledgercheck.check_replied_balances(result, balances)
    return dataclasses.replace(
        report,
        differences=tuple(differences),
        stats=drain.stats,
        model=model,
        during_flood_per_s=jobs_per_s if model and not result.stalled else None,
        drain=drain if model else None,
    )


def _outstanding(stats: dict[str, Any]) -> bool:
    return any(stats[what] for what in ("waiting", "queued", "in_hand"))


def _left(stats: dict[str, Any]) -> str:
    return ", ".join(f"{stats[what]} {what}" for what in ("waiting", "queued", "in_hand"))


def _echo_differences(result: LoadResult) -> tuple[str, ...]:
    if not result.errors:
        return ()
    return tuple(f"{count} x {answer}" for answer, count in result.answers().items())


async def measure_spawned(
    stage: int,
    load: Load,
    options: Sequence[str] = (),
    *,
    verbose: bool = False,
    stall_s: float = STALL_S,
    on_progress: Callable[[str, int, int], None] = _ignore,
) -> Report:
    """Start the stage, ``measure`` it, stop it, and check its last line too.

    Args:
        options: of the server.
        verbose: let the server's log through.

    The others, and what it raises: see ``measure``. The server is stopped in any case.
    """
    async with spawned(stage, options, verbose=verbose) as server:
        report = await measure(stage, load, server.url, stall_s=stall_s, on_progress=on_progress)
        await server.stop()
    exit_status = server.exit_status
    assert exit_status is not None
    if server.final is None:
        differences = ["the server wrote no final line"]
    elif report.result.echo:
        differences = []
    else:
        differences = ledgercheck.check_final(server.final, exit_status)
    return dataclasses.replace(
        report,
        differences=(*report.differences, *differences),
        final=server.final,
        exit_status=exit_status,
    )


def _warn(stage: int, found: int | None) -> None:
    if found is None and stage > 2:
        print(f"warning: not stage {stage}: the server has no /stats", file=sys.stderr)
    elif found is not None and found != stage:
        print(f"warning: the server is stage {found}, not {stage}", file=sys.stderr)


async def _command(options: argparse.Namespace, server_options: list[str]) -> int:
    load = LOADS[options.stage]
    given = {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(load)
        if getattr(options, field.name, None) is not None
    }
    load = dataclasses.replace(load, **given)
    print(heading(options.stage, load), end="\n\n", flush=True)
    with command.progress() as update:
        if options.spawn:
            report = await measure_spawned(
                options.stage,
                load,
                server_options,
                verbose=options.verbose,
                stall_s=options.stall,
                on_progress=update,
            )
        else:
            report = await measure(
                options.stage,
                load,
                options.url,
                stall_s=options.stall,
                on_progress=update,
                on_server=partial(_warn, options.stage),
            )
    print(report.text())
    command.write_json(options.json, report.to_json())
    return 0 if report.ok else 1


def _amount(text: str) -> int:
    amount = int(text)
    if not amount:
        raise argparse.ArgumentTypeError("an amount of 0 would leave no trace to be checked")
    if not -(2**63) <= amount < 2**63:
        raise argparse.ArgumentTypeError(f"{text} is no amount: it has more than 64 bits")
    return amount


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = command.parser("stress", "Send a stage the document's load and check its ledger.")
    parser.add_argument("stage", type=int, choices=LOADS, metavar="N", help="1 to 10")
    where = parser.add_mutually_exclusive_group()
    command.add_url(where)
    where.add_argument(
        "--spawn", action="store_true", help="start the stage; its options follow after --"
    )
    parser.add_argument("--verbose", action="store_true", help="show the spawned server's log")
    parser.add_argument("--requests", type=command.positive, metavar="N")
    parser.add_argument("--concurrency", type=command.positive, metavar="N", help="connections")
    parser.add_argument("--users", type=command.positive, metavar="N")
    parser.add_argument("--amount", type=_amount, metavar="N", help="of every event")
    parser.add_argument(
        "--rate",
        dest="rate_per_s",
        type=command.positive_float,
        metavar="R",
        help="requests per second, an open loop; latency counts from the schedule",
    )
    parser.add_argument(
        "--new-connections",
        action=argparse.BooleanOptionalAction,
        help="a connection for every request (the default of stage 1)",
    )
    parser.add_argument(
        "--stall",
        type=command.positive_float,
        default=STALL_S,
        metavar="S",
        help="seconds without any progress after which to give up (default: %(default)g)",
    )
    options = parser.parse_args(arguments[:split])
    server_options = arguments[split + 1 :]
    if server_options and not options.spawn:
        parser.error("options after -- are the server's: they need --spawn")
    if options.verbose and not options.spawn:
        parser.error("--verbose is about the spawned server: it needs --spawn")
    return command.run(partial(_command, options, server_options))


if __name__ == "__main__":
    sys.exit(main())
