"""The decisive cells, run: facts that do not depend on how fast this machine is.

All of the table is `nox -s compare`; here are those on which the argument rests, so that whoever
changes a shell sees it at once.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio

from trio_stages.cli import main
from trio_stages.compare import command
from trio_stages.compare.results import BROKEN, ENDED, HANG, START, STOP, Cell, Stamp, version
from trio_stages.compare.run import (
    AT_ONCE,
    Task,
    _run,
    judge,
    package_alone,
    probe,
    report_of,
    run_cell,
)
from trio_stages.compare.scenarios import scenarios

if TYPE_CHECKING:
    from pathlib import Path

# A HANG is waited for; the rest of these end in a second or two, on a busy machine in three.
LIMITS_S = {"S2": 4.0, "S7": 1.5}
RUN = [
    *(("S2", column) for column in ("trio", "modern")),
    *(("S3", column) for column in ("trio", "modern", "classic", "hardened", "anyio")),
    *(("S4", column) for column in ("trio", "modern", "hardened")),
    *(("S5", column) for column in ("trio", "modern")),
    *(("S7", column) for column in ("trio", "modern")),
    *(("S9", column) for column in ("trio", "classic")),
    *(("S11", column) for column in ("trio", "modern")),
]


# All in one process, where tests are spread over several: the cells are run once for all of them.
pytestmark = pytest.mark.xdist_group("cells")


@pytest.fixture(scope="module")
def cells() -> dict[tuple[str, str], Cell]:
    """All of ``RUN`` on this interpreter."""
    found = {}

    async def run() -> None:
        with package_alone() as path:
            stamp = await probe(sys.executable, path)
            limiter = trio.CapacityLimiter(AT_ONCE)

            async def one(identity: str, column: str) -> None:
                scenario = scenarios()[identity]
                limit_s = LIMITS_S.get(identity, scenario.limit_s)
                task = Task(replace(scenario, limit_s=limit_s), column, sys.executable)
                async with limiter:
                    found[identity, column] = await run_cell(task, stamp, path)

            async with trio.open_nursery() as nursery:
                for identity, column in RUN:
                    nursery.start_soon(one, identity, column)

    trio.run(run)
    return found


Cells = dict[tuple[str, str], Cell]


@pytest.mark.parametrize(("identity", "column"), RUN)
def test_they_are_as_the_registry_expects(cells: Cells, identity: str, column: str) -> None:
    cell = cells[identity, column]
    assert cell.agrees, (cell.differences, cell.complaints)


@pytest.mark.parametrize("column", ["trio", "anyio", "hardened"])
def test_a_timeout_that_waits_for_the_thread_keeps_the_lock(cells: Cells, column: str) -> None:
    metrics = cells["S3", column].metrics
    assert (metrics["overlaps"], metrics["lost_updates"]) == (0, 0)


@pytest.mark.parametrize("column", ["modern", "classic"])
def test_a_timeout_that_does_not_lets_a_second_thread_in(cells: Cells, column: str) -> None:
    cell = cells["S3", column]
    assert int(cell.metrics["overlaps"]) >= 1
    assert cell.metrics["lost_updates"] == 1
    at_s = {(e.lane, e.kind): e.at_s for e in cell.events if e.lane_kind == "thread"}
    slow, following = "thread: slow", "thread: next"
    assert at_s[slow, START] < at_s[following, START] < at_s[slow, STOP]


def test_a_retry_applies_the_job_again(cells: Cells) -> None:
    assert cells["S4", "trio"].metrics["applied"] == 1
    assert cells["S4", "modern"].metrics["applied"] == 2
    assert cells["S4", "hardened"].metrics["applied"] == 2


def test_a_thread_left_behind_works_on_a_closed_store(cells: Cells) -> None:
    assert cells["S5", "trio"].metrics["after_close"] == 0
    assert cells["S5", "modern"].metrics["after_close"] == 1


def test_a_task_cancelled_before_it_begins(cells: Cells) -> None:
    assert cells["S9", "trio"].metrics["closed"] == 10
    mended = version(cells["S9", "classic"].python) >= (3, 13)
    assert cells["S9", "classic"].metrics["closed"] == (10 if mended else 0)


def test_idle_clients_stop_the_stop_since_3_12(cells: Cells) -> None:
    assert cells["S2", "trio"].metrics["tasks_left"] == 0
    hangs = version(cells["S2", "modern"].python) >= (3, 12)
    assert (cells["S2", "modern"].outcome == HANG) is hangs


def test_a_swallowed_cancellation(cells: Cells) -> None:
    assert cells["S7", "trio"].metrics["tasks_left"] == 0
    assert cells["S7", "modern"].outcome == HANG
    assert cells["S7", "modern"].metrics["accepted"] == 1, "what was seen until then is kept"


def test_where_asyncio_is_better(cells: Cells) -> None:
    assert cells["S11", "trio"].metrics["torn"] == 1
    assert cells["S11", "modern"].metrics["torn"] == 0


def test_an_interpreter_that_mends_something_is_noticed() -> None:
    """The registry says 2 where 1 is seen: the run fails until it is told."""
    stamp = Stamp(python="3.15.0", versions={}, system="", cores=1)
    task = Task(scenarios()["S4"], "modern", sys.executable)
    metrics = {"applied": 1, "applied_twice": 0}
    report = {"outcome": ENDED, "metrics": metrics, "events": [], "failure": ""}
    cell = judge(task, stamp, report, "")
    assert cell.wanted
    assert cell.differences[0] == "applied: 1 seen, = 2 expected"


@pytest.mark.parametrize("outcome", [BROKEN, HANG])
def test_a_scenario_that_breaks_is_never_as_expected(outcome: str) -> None:
    stamp = Stamp(python="3.11.7", versions={}, system="", cores=1)
    task = Task(scenarios()["S3"], "trio", sys.executable)
    metrics = {"overlaps": 0, "lost_updates": 0, "applied": 2}
    report = {"outcome": outcome, "metrics": metrics, "events": [], "failure": "Traceback"}
    cell = judge(task, stamp, report, "")
    assert not cell.agrees
    assert not cell.wanted
    assert cell.shown == outcome


def test_a_version_that_nobody_has_looked_at_is_no_crash() -> None:
    stamp = Stamp(python="3.10.0", versions={}, system="", cores=1)
    task = Task(scenarios()["S3"], "trio", sys.executable)
    report = {"outcome": ENDED, "metrics": {}, "events": [], "failure": ""}
    assert judge(task, stamp, report, "").differences == ("nothing is known of trio on 3.10.0",)


def test_a_cell_that_says_nothing_is_a_hang() -> None:
    assert report_of(b"")["outcome"] == HANG
    assert report_of(b"{")["outcome"] == HANG


def test_a_process_that_outlives_its_limit_is_killed_with_its_children(tmp_path: Path) -> None:
    """The child holds stdout open: if it lived on, reading would not end before it does."""
    child = "import time; print('here', flush=True); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"

    async def main() -> None:
        with trio.fail_after(30.0):
            await _run([sys.executable, "-c", parent], 1.0, tmp_path)

    trio.run(main)


def test_ctrl_c_ends_the_run_in_silence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trio brings it in an exception group, as S11 shows; the command line knows the plain one."""

    async def interrupted(*arguments: object) -> None:
        async with trio.open_nursery():
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_all", interrupted)
    assert main(["compare", "S3"]) == 130
    assert capsys.readouterr() == ("", "")
