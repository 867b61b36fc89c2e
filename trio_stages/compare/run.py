"""All cells on all interpreters: each in a process of its own, with a hard limit.

Rules:

1. Two cells at a time, no more: what is compared is order, not speed, but an overloaded machine
   makes every limit a lie.
2. A process that outlives its limit is killed with all that it started; that is a HANG, a result.
3. What is expected of a cell depends on the version that ran it, not on the one that runs us.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from .results import BROKEN, HANG, Cell, CompareResults, Event, Stamp

if TYPE_CHECKING:
    from .scenario import Scenario

AT_ONCE = 2
# To start Python and import everything on a busy machine; the cell's own clock starts after that.
START_S = 20.0
COMPLAINTS_CHARS = 4_000
ROOT = Path(__file__).parent.parent.parent

OnProgress = Callable[[str, int, int], None]


class CompareError(Exception):
    """One line for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Task:
    """A cell to be run."""

    scenario: Scenario
    column: str
    python: str  #: path of the interpreter


async def run_all(
    scenarios: Sequence[Scenario],
    columns: Sequence[str],
    pythons: Sequence[str],
    on_progress: OnProgress = lambda what, done, total: None,
) -> CompareResults:
    """Run every scenario in every column on every interpreter.

    On cancellation the running cells are killed.

    Args:
        scenarios: in the order of the table.
        columns: of those that a scenario knows.
        pythons: paths of interpreters that have trio, anyio, h11 and pydantic.
        on_progress: told the last cell's name, how many are done, and of how many.

    Raises:
        CompareError: an interpreter cannot run the cells at all.
    """
    stamps = [await probe(python) for python in pythons]
    tasks = [
        Task(scenario, column, python)
        for scenario in scenarios
        for column in columns
        if column in scenario.columns
        for python in pythons
    ]
    cells: dict[int, Cell] = {}
    places = trio.CapacityLimiter(AT_ONCE)

    async def run_one(number: int, task: Task) -> None:
        async with places:
            stamp = stamps[pythons.index(task.python)]
            cells[number] = await run_cell(task, stamp)
        name = f"{task.scenario.id} {task.column} {stamp.python}"
        on_progress(name, len(cells), len(tasks))

    async with trio.open_nursery() as nursery:
        for number, task in enumerate(tasks):
            nursery.start_soon(run_one, number, task)
    return CompareResults(stamps=tuple(stamps), cells=tuple(cells[n] for n in sorted(cells)))


async def probe(python: str) -> Stamp:
    """Ask an interpreter for its stamp.

    Raises:
        CompareError: it does not exist, is too old or lacks a library.
    """
    code = (
        "import json, dataclasses; from trio_stages.compare.stamp import stamp; "
        "import trio, anyio, h11, pydantic; print(json.dumps(dataclasses.asdict(stamp())))"
    )
    try:
        done = await trio.run_process(
            [python, "-c", code],
            env=_environment(),
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    except OSError as error:
        raise CompareError(f"{python}: {error.strerror}") from None
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise CompareError(f"{python} cannot run the comparison: {reason}")
    return Stamp(**json.loads(done.stdout))


async def run_cell(task: Task, stamp: Stamp) -> Cell:
    """Run one cell and hold it to what is expected of it."""
    scenario = task.scenario
    command = [
        *(task.python, "-W", "default", "-m", "trio_stages.compare.cell"),
        *(scenario.id, task.column, str(scenario.limit_s)),
    ]
    began_s = time.monotonic()
    stdout, stderr = await _run(command, START_S + scenario.limit_s)
    report = _report(stdout)
    complaints = stderr.decode(errors="replace")
    metrics = {
        "outcome": report["outcome"],
        **report["metrics"],
        **count_complaints(complaints),
    }
    expectation = scenario.expectation(task.column, version(stamp.python))
    expected = {"outcome": "= ended"} | {n: str(f) for n, f in expectation.facts.items()}
    differences = [
        f"{name}: {metrics.get(name)} seen, {fact} expected"
        for name, fact in scenario.facts(task.column, version(stamp.python)).items()
        if not fact.holds(metrics.get(name))
    ]
    if report["outcome"] == BROKEN:
        complaints = report["failure"] + complaints
    return Cell(
        scenario=scenario.id,
        column=task.column,
        python=stamp.python,
        outcome=report["outcome"],
        shown=scenario.show(metrics),
        wanted=scenario.is_wanted(metrics),
        metrics=metrics,
        events=tuple(Event(**event) for event in report["events"]),
        expected=expected,
        differences=tuple(differences),
        duration_s=round(time.monotonic() - began_s, 3),
        complaints=complaints[:COMPLAINTS_CHARS],
    )


async def _run(command: list[str], limit_s: float) -> tuple[bytes, bytes]:
    """Run a command in a process group of its own; kill the group at its limit."""
    output: dict[str, bytes] = {}
    process = await trio.lowlevel.open_process(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(),
        start_new_session=True,  # Ctrl-C is for us; and the group can be killed as one
    )

    async def read(name: str, stream: trio.abc.ReceiveStream | None) -> None:
        assert stream is not None
        async with stream:
            output[name] = b"".join([data async for data in stream])

    try:
        with trio.move_on_after(limit_s):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read, "stdout", process.stdout)
                nursery.start_soon(read, "stderr", process.stderr)
                await process.wait()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            with trio.CancelScope(shield=True):
                await process.wait()
    return output.get("stdout", b""), output.get("stderr", b"")


def _report(stdout: bytes) -> dict[str, Any]:
    """What a cell wrote; one that was killed before it could is a HANG that says nothing."""
    try:
        report: dict[str, Any] = json.loads(stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"outcome": HANG, "metrics": {}, "events": [], "failure": ""}
    return report


def count_complaints(stderr: str) -> dict[str, int]:
    """What Python and asyncio complain of on stderr, by kind."""
    return {
        "never_retrieved": stderr.count("exception was never retrieved"),
        "never_awaited": stderr.count("was never awaited"),
        "destroyed_pending": stderr.count("was destroyed but it is pending"),
        "resource_warnings": stderr.count("ResourceWarning"),
    }


def version(python: str) -> tuple[int, ...]:
    """``3.13.0`` as numbers; what follows a release candidate's digits is left out."""
    digits = [part for part in python.replace("+", ".").split(".")[:3]]
    return tuple(int("".join(c for c in part if c.isdigit()) or 0) for part in digits)


def _environment() -> dict[str, str]:
    """Ours, with the package where we have it, and without what would change the outcome."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONWARNINGS", "VIRTUAL_ENV")
    }
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def this_python() -> str:
    """Path of the interpreter that runs us."""
    return sys.executable
