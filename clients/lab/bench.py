"""Where an experiment is made: servers over loopback, one at a time, and simulations beside.

Rules:

1. Whatever is measured over sockets has the machine to itself: no simulation runs meanwhile.
2. Every ledger is checked, whatever the experiment is about; a difference is the lab's own failure.
3. A simulation is a plain function of plain arguments, so that it may run in another process; all
   the cores compute at once.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from clients import ledgercheck
from clients.drain import read_stats, rise_per_s, watch_drain
from clients.flood import run_load
from clients.http import ClientError, Connection, Target
from clients.prediction import Model
from clients.spawn import spawned

from .recording import Recording
from .simulate import Simulated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence

    from clients.flood import LoadResult
    from clients.loads import Load
    from clients.spawn import Server

T = TypeVar("T")

HOST = (sys.executable, "-m", "clients.lab.host")
STALL_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flooded:
    """A spawned stage and one load.

    Attributes:
        result: the client's side.
        config: the options in force.
        stats: ``/stats`` just after the flood.
        final: the server's last line.
        recording: moment by moment, of its own clock; empty without ledger (stages 1 to 3).
        model: the prediction for this stage.
        during_flood_per_s: jobs processed per second while the load ran; nan if it stalled.
        grown_bytes: resident memory that the server gained during the flood; 0: not known.
    """

    result: LoadResult
    config: dict[str, Any]
    stats: dict[str, Any]
    final: dict[str, Any]
    recording: Recording
    model: Model
    during_flood_per_s: float
    grown_bytes: int = 0

    @property
    def workers(self) -> int:
        """Of the pool."""
        return int(self.stats["workers"]) or 1

    @property
    def drain_per_s(self) -> float:
        """Jobs per second from the end of the flood until the queue was empty; nan: none seen."""
        recording = self.recording
        return recording.rate_per_s(self.workers, recording.ended_s, recording.emptied_s)

    @property
    def predicted_accepted(self) -> float:
        """By the model, for this duration."""
        return self.model.accepted(self.result.sent, self.result.duration_s)


class Bench:
    """What one experiment works with.

    Args:
        quick: what needs more than some seconds of waiting is to be left to virtual time.
        processors: run plain functions in other processes.
        on_progress: told what is being done, how much of it is, and of how much.
        shared: what experiments have measured that others of the same run may use.

    Attributes:
        ledger: what differed, so far.
        virtual_s: virtual seconds that have passed.
    """

    def __init__(
        self,
        *,
        quick: bool,
        processors: Processors,
        on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
        shared: dict[Hashable, Flooded] | None = None,
    ) -> None:
        self.quick = quick
        self.on_progress = on_progress
        self.ledger: list[str] = []
        self.virtual_s = 0.0
        self.shared = {} if shared is None else shared
        self._processors = processors

    async def compute(
        self, function: Callable[..., T], arguments: Sequence[tuple[Any, ...]]
    ) -> list[T]:
        """Call a function with each of these tuples of arguments; the results in their order.

        Args:
            function: of a module, as are its arguments and what it returns: they travel.
            arguments: of each call.
        """
        self.on_progress("in virtual time", 0, len(arguments))
        results = await self._processors.map(
            function,
            arguments,
            lambda done: self.on_progress("in virtual time", done, len(arguments)),
        )
        self.virtual_s += sum(each.virtual_s for each in results if isinstance(each, Simulated))
        return results

    async def flood(
        self,
        stage: int,
        load: Load,
        options: Sequence[str] = (),
        *,
        settle_s: float = math.inf,
        host: Sequence[str] = (),
        beside: Callable[[Target], Awaitable[None]] | None = None,
    ) -> Flooded:
        """Start a stage that records, send it a load, stop it, check its ledger.

        Args:
            stage: its number, 4 or higher.
            load: what to send.
            options: of the stage.
            settle_s: seconds between the end of the load and the stop; inf: until all is done.
            host: options of ``clients.lab.host``.
            beside: runs during the flood, and is cancelled at its end.

        Raises:
            ClientError: the server is not there, or this side ran out of sockets.
        """
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "recording.json"
            launcher = [*HOST, "--record", str(file), *host]
            async with spawned(stage, options, launcher=launcher) as server:
                resident = _resident_bytes(server)
                flooded = await self._flood(server, stage, load, settle_s, beside)
                await server.stop()
            final = _final(server)
            recording = Recording.read(file) if file.exists() else Recording()
        before, result, after, grown, differences = flooded
        differences += ledgercheck.check_final(final, server.exit_status or 0)
        differences += ledgercheck.check_counters(result, before, final)
        self.differ(f"stage {stage} {' '.join(options)}".strip(), differences)
        model = Model.of(before)
        assert model is not None, "a stage from 4 on has jobs"
        return Flooded(
            result=result,
            config=before["config"],
            stats=after,
            final=final,
            recording=recording,
            model=model,
            during_flood_per_s=math.nan
            if result.stalled
            else rise_per_s(before, after, result.duration_s),
            grown_bytes=grown - resident,
        )

    async def _flood(
        self,
        server: Server,
        stage: int,
        load: Load,
        settle_s: float,
        beside: Callable[[Target], Awaitable[None]] | None,
    ) -> tuple[dict[str, Any], LoadResult, dict[str, Any], int, list[str]]:
        target = await Target.locate(server.url)
        what = f"flood of stage {stage}"
        with Connection(target) as control:
            before = await read_stats(control)
            async with trio.open_nursery() as nursery:
                if beside is not None:
                    nursery.start_soon(beside, target)
                result = await run_load(
                    target,
                    load,
                    stall_s=STALL_S,
                    on_progress=lambda done: self.on_progress(what, done, load.requests),
                )
                nursery.cancel_scope.cancel()
            after = await read_stats(control)
            resident = _resident_bytes(server)
            if not math.isinf(settle_s):
                await self.wait(f"stage {stage} works", settle_s)
                differences = ledgercheck.check_sums(await read_stats(control))
                balances = await control.get_json("/balances") or {}
                differences += ledgercheck.check_balances(result, {}, balances, drained=False)
                return before, result, after, resident, differences
            model = Model.of(before)
            drain = await watch_drain(
                control,
                model.rate_per_s if model else math.inf,
                stall_s=STALL_S,
                on_progress=partial(self.on_progress, f"drain of stage {stage}"),
            )
            differences = ledgercheck.check_sums(drain.stats)
            if drain.stalled:
                differences.append(f"nothing was done for {STALL_S:g} s")
            balances = await control.get_json("/balances") or {}
            differences += ledgercheck.check_balances(result, {}, balances)
        return before, result, after, resident, differences

    async def wait(self, what: str, duration_s: float) -> None:
        """Let time pass, seen to pass."""
        end = trio.current_time() + duration_s
        while (left := end - trio.current_time()) > 0:
            self.on_progress(what, int(1000 * (duration_s - left)), int(1000 * duration_s))
            await trio.sleep(min(0.2, left))

    def differ(self, where: str, differences: Sequence[str]) -> None:
        """Note what a ledger check has found."""
        self.ledger += [f"{where}: {difference}" for difference in differences]


def _resident_bytes(server: Server) -> int:
    try:
        return server.resident_bytes
    except OSError:  # no /proc here
        return 0


def _final(server: Server) -> dict[str, Any]:
    if server.final is None:
        raise ClientError("the server wrote no final line")
    return server.final


class Processors:
    """Processes that compute for the lab, one for each core, started when first needed.

    Use ``processors()``.
    """

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def map(
        self,
        function: Callable[..., T],
        arguments: Sequence[tuple[Any, ...]],
        on_done: Callable[[int], None],
    ) -> list[T]:
        """See ``Bench.compute``; cancelled, what has begun is computed to its end and lost."""
        if self._pool is None:
            # Fresh processes: a fork would inherit the event loop of this one.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                os.cpu_count(), mp_context=context, initializer=_leave_signals_alone
            )
        futures = [self._pool.submit(function, *each) for each in arguments]
        results = []
        try:
            for future in futures:
                result = await trio.to_thread.run_sync(future.result, abandon_on_cancel=True)
                results.append(result)
                on_done(len(results))
        finally:
            for future in futures:
                future.cancel()
        return results

    def close(self) -> None:
        """End them."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _leave_signals_alone() -> None:
    """Ctrl-C is for the lab, which then ends these processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def processors() -> Iterator[Processors]:
    """Processors for the block."""
    made = Processors()
    try:
        yield made
    finally:
        made.close()
