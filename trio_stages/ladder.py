"""The ladder as data: what each stage inherits and adds. A new stage is a new row here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


@dataclass(frozen=True, slots=True)
class Stage:
    """One rung."""

    number: int
    name: str  #: the stage's file, without ``.py``
    pain: str
    idea: str

    @property
    def module_name(self) -> str:
        return f"trio_stages.stages.{self.name}"

    @property
    def file(self) -> Path:
        return Path(__file__).with_name("stages") / f"{self.name}.py"

    def load(self) -> ModuleType:
        """Import the stage: ``DEFAULTS``, ``handle``, ``worker`` from stage 5 on, ``serve``."""
        return import_module(self.module_name)


LADDER = (
    Stage(
        1,
        "stage01_blocking",
        "the server that everybody writes first",
        "one blocking connection at a time",
    ),
    Stage(
        2,
        "stage02_concurrency",
        "one silent client freezes the server",
        "a nursery, a task for each connection",
    ),
    Stage(
        3,
        "stage03_validation",
        "it believes whatever it is sent, and waits for it for ever",
        "a pydantic Event, predictable errors, timeouts",
    ),
    Stage(
        4,
        "stage04_shared_state",
        "nothing is done with the events",
        "balances behind one trio.Lock, work inside it",
    ),
    Stage(
        5,
        "stage05_backpressure",
        "everybody waits with the connection open, unbounded",
        "a bounded channel, send_nowait, one worker",
    ),
    Stage(
        6,
        "stage06_worker_pool",
        "one worker, 2 jobs/s",
        "a nursery of workers, each job in a thread",
    ),
    Stage(
        7,
        "stage07_contention",
        "sixteen workers, no faster than one lock lets them",
        "every wait and hold of the lock measured",
    ),
    Stage(
        8,
        "stage08_sharding",
        "everybody waits for the same lock",
        "a sharded map, a lock for each shard",
    ),
    Stage(
        9,
        "stage09_metrics",
        "what happens inside, nobody can see from outside",
        "metrics that are not themselves a hot lock",
    ),
    Stage(
        10,
        "stage10_shutdown",
        "a stop loses what is queued",
        "a graceful stop: reverse order, drain, deadline",
    ),
)
STAGES = {stage.number: stage for stage in LADDER}
