"""What threads buy when jobs compute: nothing under the GIL. And what does: processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from clients.flood import Latency
from clients.http import Connection, NoReply
from clients.loads import Load
from trio_stages.work import gil_enabled

from .burning import burn_s
from .registry import Experiment, Findings
from .results import Axis, Bar, Column, Comparison, Plot, Table
from .verdicts import figure, judge, known

if TYPE_CHECKING:
    from clients.http import Target

    from .bench import Bench, Flooded
    from .results import Verdict

GROUP = "The truth about the GIL"
WORK_MS = 10.0
# More than any of these can do, for as long as the latency is looked at.
RATE_PER_S = 600.0
LOAD_S, QUICK_LOAD_S = 3.0, 1.0
CAPACITY = 100
# So often, by so many connections in turn: one whose reply is late holds up no other.
PROBE_EVERY_S, PROBES = 0.01, 25
BURNING = Path(__file__).with_name("burning.py")
FREE_THREADED = ("python3.14t", "python3.13t")


async def _burn(
    bench: Bench, options: list[str], *, switch_ms: float | None = None
) -> tuple[Flooded, Latency]:
    """Stage 6 with such jobs, and how long ``GET /health`` takes beside them."""
    load_s = QUICK_LOAD_S if bench.quick else LOAD_S
    load = Load(requests=int(RATE_PER_S * load_s), concurrency=20, rate_per_s=RATE_PER_S)
    latencies_s: list[float] = []

    async def probe(target: Target, due_s: float) -> None:
        message = target.request("GET", "/health")
        with Connection(target) as connection:
            while True:
                await trio.sleep_until(due_s)
                try:
                    await connection.request(message)
                except NoReply:
                    return
                latencies_s.append(trio.current_time() - due_s)
                due_s += PROBES * PROBE_EVERY_S

    async def probes(target: Target) -> None:
        start_s = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(PROBES):
                nursery.start_soon(probe, target, start_s + number * PROBE_EVERY_S)

    words = ["--work-ms", f"{WORK_MS:g}", "--capacity", str(CAPACITY), *options]
    host = [] if switch_ms is None else ["--switch-interval-ms", f"{switch_ms:g}"]
    flooded = await bench.flood(6, load, words, settle_s=0.0, host=host, beside=probes)
    return flooded, Latency.of(latencies_s)


def _rate_per_s(flooded: Flooded) -> float:
    """Jobs per second from the first completion to the end of the flood."""
    recording = flooded.recording
    return recording.rate_per_s(1, end_s=recording.ended_s)


CASES = (
    ("sleep, 4 threads", ("--work", "sleep", "--workers", "4"), None),
    ("cpu, 1 thread", ("--work", "cpu", "--workers", "1"), None),
    ("cpu, 4 threads", ("--work", "cpu", "--workers", "4"), None),
    ("cpu, 4 threads, switch interval 0.5 ms", ("--work", "cpu", "--workers", "4"), 0.5),
    ("cpu, 4 threads, switch interval 50 ms", ("--work", "cpu", "--workers", "4"), 50.0),
    ("cpu, 4 tasks", ("--work", "cpu", "--workers", "4", "--offload", "task"), None),
)


async def gil(bench: Bench) -> Findings:
    """Stage 6 whose jobs compute, in tasks and in threads."""
    seen = {}
    for name, options, switch_ms in CASES:
        seen[name] = await _burn(bench, list(options), switch_ms=switch_ms)
    rates = {name: _rate_per_s(flooded) for name, (flooded, _) in seen.items()}
    p99_ms = {name: latency.p99_s * 1000 for name, (_, latency) in seen.items()}
    p50_ms = {name: latency.p50_s * 1000 for name, (_, latency) in seen.items()}
    one, four = rates["cpu, 1 thread"], rates["cpu, 4 threads"]
    slept = rates["sleep, 4 threads"]
    short, usual, long = (
        p50_ms["cpu, 4 threads, switch interval 0.5 ms"],
        p50_ms["cpu, 4 threads"],
        p50_ms["cpu, 4 threads, switch interval 50 ms"],
    )
    under_gil = gil_enabled()
    return Findings(
        comparisons=(
            Comparison(
                quantity="four computing threads ÷ one",
                unit="×",
                measured=known(four / one),
                model=1 if under_gil else min(4, os.cpu_count() or 1),
                digits=2,
            ),
            Comparison(
                quantity="jobs done by four sleeping threads",
                unit="jobs/s",
                measured=known(slept),
                model=4000 / WORK_MS,
            ),
        ),
        tables=(
            Table(
                title=f"Stage 6, jobs of {WORK_MS:g} ms, {RATE_PER_S:g} offered per second",
                columns=(
                    Column("jobs", "", "setting"),
                    Column("done", "jobs/s", "measured", 1),
                    Column("GET /health, median", "ms", "latency", 2),
                    Column("GET /health, p99", "ms", "latency", 2),
                ),
                rows=tuple(
                    (
                        name,
                        known(rates[name]),
                        known(latency.p50_s * 1000),
                        known(latency.p99_s * 1000),
                    )
                    for name, (_, latency) in seen.items()
                ),
                caption="/health is asked for every 10 ms meanwhile, come what may, and counted "
                "from then: how long does the event loop wait for its turn?",
            ),
        ),
        plots=(
            Plot(
                kind="bars",
                title="Jobs of 10 ms: what more workers buy",
                x=Axis("jobs"),
                y=Axis("done", "jobs/s"),
                bars=tuple(Bar(name, round(rate, 3), "measured") for name, rate in rates.items()),
                caption="Sleeping, four workers do four times the work. Computing, they do what "
                "one does.",
                alt="Sleeping threads do about 390 jobs/s, all computing ones about 100.",
            ),
            Plot(
                kind="bars",
                title="And what they do to everybody else's latency",
                x=Axis("jobs"),
                y=Axis("GET /health, p99", "ms", log=True),
                bars=tuple(
                    Bar(name, round(max(0.01, value), 3), "latency")
                    for name, value in p99_ms.items()
                ),
                caption="Each time the loop wants the GIL it may wait for a switch interval for "
                "each thread that computes.",
                alt="Bars: how long a request for /health takes beside each kind of jobs.",
            ),
        ),
        verdicts=(
            judge(
                "Under the GIL threads that compute buy nothing: four do what one does.",
                four / one < 1.5 if under_gil else None,
                f"{figure(one)} jobs/s with one, {figure(four)} with four: {four / one:.2f}×"
                + ("" if under_gil else "; this interpreter has no GIL"),
            ),
            judge(
                "Threads that wait buy what they are: four do four times as much.",
                slept * WORK_MS / 1000 > 3,
                f"{figure(slept)} jobs/s, where one alone can do {1000 / WORK_MS:g}",
            ),
            judge(
                "The switch interval is what the event loop waits for: longer is worse.",
                short < usual < long if under_gil else None,
                f"/health median {short:.1f} ms at 0.5 ms, {usual:.1f} ms at 5 ms (Python's own), "
                f"{long:.1f} ms at 50 ms",
            ),
            judge(
                "Computing in tasks freezes the loop for a whole job at a time.",
                seen["cpu, 4 tasks"][1].p50_s * 1000 > WORK_MS / 2,
                f"/health median {seen['cpu, 4 tasks'][1].p50_s * 1000:.1f} ms beside tasks, "
                f"{seen['cpu, 1 thread'][1].p50_s * 1000:.1f} ms beside one thread",
            ),
        ),
    )


async def processes(bench: Bench) -> Findings:
    """The same jobs in threads, in processes, and without a GIL, as far as there are such."""
    cores = os.cpu_count() or 1
    jobs = 40 if bench.quick else 200
    job_s = WORK_MS / 1000
    rows: dict[str, float] = {}
    for workers in (1, cores):
        bench.on_progress(f"{workers} threads", 0, 1)
        rows[f"{_count(workers, 'thread')}, this interpreter"] = await _threads_per_s(
            sys.executable, workers, jobs
        )
    verdicts: list[Verdict] = []
    if find_spec("trio_parallel") is None:
        said = "trio-parallel is not installed: pip install trio-parallel"
        verdicts.append(judge(_CURE, None, said))
    else:
        for workers in (1, cores):
            bench.on_progress(f"{workers} processes", 0, 1)
            rows[f"{_count(workers, 'process')}, trio-parallel"] = await _processes_per_s(
                workers, jobs, job_s
            )
        one = rows["1 process, trio-parallel"]
        all_cores = rows[f"{_count(cores, 'process')}, trio-parallel"]
        verdicts.append(
            judge(
                _CURE,
                all_cores / one > 0.7 * cores if cores > 1 else None,
                f"{figure(one)} jobs/s in one process, {figure(all_cores)} in {cores}: "
                f"{all_cores / one:.2f}×",
            )
        )
    free = next(filter(None, map(shutil.which, FREE_THREADED)), None)
    claim = "Without the GIL, threads that compute run side by side."
    if free is None and gil_enabled():
        said = f"no free-threaded interpreter here: {' or '.join(FREE_THREADED)} was looked for"
        verdicts.append(judge(claim, None, said))
    else:
        free = free or sys.executable
        for workers in (1, cores):
            rows[f"{_count(workers, 'thread')}, free-threaded"] = await _threads_per_s(
                free, workers, jobs
            )
        one = rows["1 thread, free-threaded"]
        all_cores = rows[f"{_count(cores, 'thread')}, free-threaded"]
        verdicts.append(
            judge(
                claim,
                all_cores / one > 0.7 * cores if cores > 1 else None,
                f"{figure(one)} jobs/s with one thread, {figure(all_cores)} with {cores}",
            )
        )
    one = rows["1 thread, this interpreter"]
    all_cores = rows[f"{_count(cores, 'thread')}, this interpreter"]
    if gil_enabled():
        verdicts.insert(
            0,
            judge(
                "Under the GIL as many threads as cores do what one does.",
                all_cores / one < 1.5,
                f"{figure(one)} jobs/s with one, {figure(all_cores)} with {cores}",
            ),
        )
    return Findings(
        tables=(
            Table(
                title=f"{jobs} jobs of {WORK_MS:g} ms of pure Python, {cores} cores",
                columns=(Column("where", "", "setting"), Column("done", "jobs/s", "measured", 1)),
                rows=tuple((name, known(rate)) for name, rate in rows.items()),
            ),
        ),
        plots=(
            Plot(
                kind="bars",
                title="Where computing jobs run side by side",
                x=Axis("where"),
                y=Axis("done", "jobs/s"),
                bars=tuple(Bar(name, round(rate, 3), "measured") for name, rate in rows.items()),
                caption="A process for each core, or no GIL.",
                alt="Threads of one interpreter do as much as one; processes scale with the cores.",
            ),
        ),
        verdicts=tuple(verdicts),
    )


_CURE = "Processes are the cure: trio-parallel runs a job on each core."


def _count(number: int, what: str) -> str:
    return (
        f"{number} {what}" if number == 1 else f"{number} {what}{'es' if what[-1] == 's' else 's'}"
    )


async def _threads_per_s(interpreter: str, threads: int, jobs: int) -> float:
    command = [interpreter, str(BURNING), str(threads), str(jobs), str(WORK_MS / 1000)]
    done = await trio.run_process(command, capture_stdout=True, stderr=subprocess.DEVNULL)
    return float(json.loads(done.stdout)["jobs_per_s"])


async def _processes_per_s(workers: int, jobs: int, job_s: float) -> float:
    import trio_parallel

    async with trio_parallel.open_worker_context(idle_timeout=60) as context:
        limiter = trio.CapacityLimiter(workers)

        async def job(amount_s: float) -> None:
            await context.run_sync(partial(burn_s, amount_s), limiter=limiter)

        async def all_jobs(count: int, amount_s: float) -> float:
            started_s = trio.current_time()
            async with trio.open_nursery() as nursery:
                for _ in range(count):
                    nursery.start_soon(job, amount_s)
            return trio.current_time() - started_s

        await all_jobs(workers, 0.2)  # each process is there, and warm
        return jobs / await all_jobs(jobs, job_s)


EXPERIMENTS = (
    Experiment(
        id="gil",
        group=GROUP,
        stages=(6,),
        title="Jobs that compute",
        question="What do threads buy under the GIL, and what do they cost everybody else?",
        mode="real",
        run=gil,
        command="python -m trio_stages 6 --work cpu --work-ms 10",
    ),
    Experiment(
        id="processes",
        group=GROUP,
        stages=(6,),
        title="What does run side by side",
        question="Where do jobs that compute run on all cores?",
        mode="machine",
        run=processes,
        command="python clients/lab/burning.py 4 100 0.01",
    ),
)
