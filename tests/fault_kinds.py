"""The faults: what each does at its moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fault_jobs import BEHIND_EFFECT, HANGS, IN_EFFECT

if TYPE_CHECKING:
    from collections.abc import Callable

    import trio
    from faults import Trial

    Task = trio.lowlevel.Task | None

JUMP_S = 5 * 3600.0  # as when a laptop wakes up in the morning


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: of it.
        strike: does it; the task is the one whose step would be next, if it is anybody's.
        first_stage: that has what it hits.
        in_tasks: whether it makes sense where jobs run in tasks, and time is virtual.
        in_threads: the same where jobs run in threads, and time is real.
        gentle: whoever has asked before it is answered.
    """

    name: str
    strike: Callable[[Trial, Task], None]
    first_stage: int = 3
    in_tasks: bool = True
    in_threads: bool = True
    gentle: bool = False

    def __str__(self) -> str:
        return self.name


def client_leaves(trial: Trial, task: Task) -> None:
    for visit in trial.one_visit(task):
        visit.leave()


def client_resets(trial: Trial, task: Task) -> None:
    for visit in trial.one_visit(task):
        visit.reset()


def network_fails(trial: Trial, task: Task) -> None:
    for visit in [*trial.connections.visits.values()]:
        visit.reset()


def connection_is_cancelled(trial: Trial, task: Task) -> None:
    trial.may_abandon |= trial.scene.stage == 4  # there the connection's task has the job in hand
    for visit in trial.one_visit(task):
        visit.scope.cancel()


def server_is_cancelled(trial: Trial, task: Task) -> None:
    trial.may_abandon = True
    trial.cancel()


def server_is_stopped(trial: Trial, task: Task) -> None:
    trial.may_abandon |= trial.server.stop_gracefully is None  # not yet up, or for the second time
    trial.stop()


def job_raises_at_work(trial: Trial, task: Task) -> None:
    trial.jobs.fail_at_work()


def job_raises_in_effect(trial: Trial, task: Task) -> None:
    trial.jobs.next_one(IN_EFFECT)


def job_raises_behind_effect(trial: Trial, task: Task) -> None:
    trial.jobs.next_one(BEHIND_EFFECT)


def thread_hangs(trial: Trial, task: Task) -> None:
    trial.may_abandon = True
    trial.jobs.next_one(HANGS)


def clock_jumps(trial: Trial, task: Task) -> None:
    trial.may_abandon |= trial.server.telemetry.draining  # and the deadline has passed
    trial.jump(JUMP_S)


def disk_is_full(trial: Trial, task: Task) -> None:
    """And there is an error to log."""
    trial.disk.full = True
    trial.jobs.fail_at_work()


def descriptors_run_out(trial: Trial, task: Task) -> None:
    trial.door.fail()


CANCEL = Fault("the server is cancelled", server_is_cancelled)
STOP = Fault("the server is stopped", server_is_stopped, first_stage=10, gentle=True)
HANG = Fault("a thread hangs", thread_hangs, first_stage=6, in_tasks=False)
FAULTS = (
    CANCEL,
    STOP,
    HANG,
    Fault("a client leaves", client_leaves),
    Fault("a client resets", client_resets),
    Fault("the network fails", network_fails),
    Fault("a connection is cancelled", connection_is_cancelled),
    Fault("a job raises at work", job_raises_at_work, first_stage=4),
    Fault("a job raises in its effect", job_raises_in_effect, first_stage=4),
    Fault("a job raises behind its effect", job_raises_behind_effect, first_stage=7),
    Fault("the clock jumps", clock_jumps, in_threads=False),
    Fault("the disk is full", disk_is_full),
    Fault("descriptors run out", descriptors_run_out, in_threads=False),
)


def faults_for(stage: int, *, threads: bool = False) -> list[Fault]:
    """What can happen to a stage."""
    return [
        fault
        for fault in FAULTS
        if stage >= fault.first_stage and (fault.in_threads if threads else fault.in_tasks)
    ]
