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
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import trio

from .results import HANG, Cell, CompareResults, Event, Stamp, version

if TYPE_CHECKING:
    from .scenario import Scenario

AT_ONCE = 2
# To start Python and import everything on a busy machine; the cell's own clock starts after that.
START_S = 20.0
COMPLAINTS_CHARS = 4_000
PACKAGE = Path(__file__).resolve().parent.parent

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
        pythons: paths of interpreters that have trio, h11 and pydantic; without anyio they have
            no such column.
        on_progress: told the last cell's name, how many are done, and of how many.

    Raises:
        CompareError: an interpreter cannot run the cells at all.
    """
    with package_alone() as path:
        stamps = {python: await probe(python, path) for python in pythons}
        tasks = [
            Task(scenario, column, python)
            for scenario in scenarios
            for column in columns
            if column in scenario.columns
            for python in pythons
            if column != "anyio" or stamps[python].versions["anyio"]
        ]
        cells: dict[int, Cell] = {}
        places = trio.CapacityLimiter(AT_ONCE)

        async def run_one(number: int, task: Task) -> None:
            stamp = stamps[task.python]
            async with places:
                cells[number] = await run_cell(task, stamp, path)
            name = f"{task.scenario.id} {task.column} {stamp.python}"
            on_progress(name, len(cells), len(tasks))

        async with trio.open_nursery() as nursery:
            for number, task in enumerate(tasks):
                nursery.start_soon(run_one, number, task)
    return CompareResults(
        stamps=tuple(stamps.values()), cells=tuple(cells[number] for number in sorted(cells))
    )


@contextmanager
def package_alone() -> Iterator[Path]:
    """A directory with a link to this package and nothing else.

    Where the package is installed its neighbours are our interpreter's libraries, which another
    interpreter must not find.
    """
    with TemporaryDirectory() as directory:
        Path(directory, PACKAGE.name).symlink_to(PACKAGE, target_is_directory=True)
        yield Path(directory)


async def probe(python: str, path: Path) -> Stamp:
    """Ask an interpreter for its stamp.

    Args:
        python: its path.
        path: of a directory with this package in it, and nothing else.

    Raises:
        CompareError: it does not exist, is too old or lacks a library.
    """
    code = (
        "import json, dataclasses; from trio_stages.compare.stamp import stamp; "
        "import trio, h11, pydantic; print(json.dumps(dataclasses.asdict(stamp())))"
    )
    try:
        done = await trio.run_process(
            [python, "-c", code],
            env=_environment(path),
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


async def run_cell(task: Task, stamp: Stamp, path: Path) -> Cell:
    """Run one cell and hold it to what is expected of it.

    Args:
        task: which.
        stamp: of its interpreter.
        path: of a directory with this package in it.
    """
    scenario = task.scenario
    command = [
        *(task.python, "-W", "default", "-m", "trio_stages.compare.cell"),
        *(scenario.name, task.column, str(scenario.limit_s)),
    ]
    began_s = time.monotonic()
    stdout, stderr = await _run(command, START_S + scenario.limit_s, path)
    cell = judge(task, stamp, report_of(stdout), stderr.decode(errors="replace"))
    return replace(cell, duration_s=round(time.monotonic() - began_s, 3))


def judge(task: Task, stamp: Stamp, report: Mapping[str, Any], stderr: str) -> Cell:
    """Hold what a cell's process reported to what is expected of it."""
    scenario = task.scenario
    python = version(stamp.python)
    metrics = {"outcome": report["outcome"], **report["metrics"], **count_complaints(stderr)}
    try:
        expected, differences = scenario.facts(task.column, python), []
    except LookupError as error:
        expected, differences = {}, [str(error)]
    differences += [
        f"{name}: {metrics.get(name)} seen, {fact} expected"
        for name, fact in expected.items()
        if not fact.holds(metrics.get(name))
    ]
    return Cell(
        scenario=scenario.id,
        column=task.column,
        python=stamp.python,
        outcome=report["outcome"],
        shown=scenario.show(metrics),
        wanted=scenario.is_wanted(metrics),
        metrics=metrics,
        events=tuple(Event(**event) for event in report["events"]),
        expected={name: str(fact) for name, fact in expected.items()},
        differences=tuple(differences),
        complaints=without_paths(report["failure"] + stderr)[:COMPLAINTS_CHARS],
    )


async def _run(command: list[str], limit_s: float, path: Path) -> tuple[bytes, bytes]:
    """Run a command in a process group of its own; kill the group at its limit."""
    output: dict[str, bytes] = {}
    process = await trio.lowlevel.open_process(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(path),
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


def report_of(stdout: bytes) -> dict[str, Any]:
    """What a cell wrote; one that was killed before it could is a HANG that says nothing."""
    try:
        report: dict[str, Any] = json.loads(stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"outcome": HANG, "metrics": {}, "events": [], "failure": ""}
    return report


def without_paths(text: str) -> str:
    """The same text, with files named from the package or the library on."""
    return re.sub(r"/\S*/(?=lib/python|trio_stages/)", "", text)


def count_complaints(stderr: str) -> dict[str, int]:
    """What Python and asyncio complain of on stderr, by kind."""
    return {
        "never_retrieved": stderr.count("exception was never retrieved"),
        "never_awaited": stderr.count("was never awaited"),
        "destroyed_pending": stderr.count("was destroyed but it is pending"),
        "resource_warnings": stderr.count("ResourceWarning"),
    }


def _environment(path: Path) -> dict[str, str]:
    """Ours, with the package as we have it, and without what would change the outcome."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONWARNINGS", "VIRTUAL_ENV")
    }
    return kept | {"PYTHONPATH": str(path)}


def this_python() -> str:
    """Path of the interpreter that runs us."""
    return sys.executable
