"""The model's figures for a server as it is configured: what it reads of ``/stats``."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trio_stages.model import predicted_accepted, service_rate_per_s
from trio_stages.state.guards import shard_of
from trio_stages.work import gil_enabled

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A stage, as far as arithmetic is concerned.

    Attributes:
        capacity: places in the queue; None where nothing is ever refused.
        workers: jobs in hand at once.
        work_s: seconds of a job outside the lock.
        hold_s: seconds of a job inside it.
        one_lock: whether all jobs share that lock.
        one_core: whether they burn CPU that only one at a time can have.
    """

    capacity: int | None
    workers: int
    work_s: float
    hold_s: float
    one_lock: bool
    one_core: bool = False

    @classmethod
    def of(cls, stats: Mapping[str, Any]) -> Model | None:
        """Read ``/stats``; None for a stage without jobs (3)."""
        stage, config = stats["stage"], stats["config"]
        if stage < 4:
            return None
        work_s, hold_s = config.get("work_ms", 0) / 1000, config.get("hold_ms", 0) / 1000
        if stage == 4:  # the work is done inside the lock, and whoever comes waits for it
            return cls(capacity=None, workers=1, work_s=0, hold_s=work_s, one_lock=True)
        return cls(
            capacity=None if config.get("overflow") == "wait" else stats["capacity"],
            workers=stats["workers"],
            work_s=work_s,
            hold_s=hold_s,
            one_lock=stage <= 6
            or config.get("state") in ("mutex", "rwlock")
            or (config.get("state") == "sharded" and config.get("shards") == 1),
            # of a server on the interpreter that runs us, as --spawn starts it
            one_core=config.get("work") == "cpu"
            and (config.get("offload") == "task" or gil_enabled()),
        )

    @property
    def rate_per_s(self) -> float:
        """Jobs per second; ``math.inf`` when a job takes no time."""
        return service_rate_per_s(
            self.workers,
            self.work_s,
            self.hold_s,
            one_lock=self.one_lock,
            one_core=self.one_core,
        )

    def accepted(self, sent: int, duration_s: float) -> float:
        """Jobs accepted of a flood of ``sent`` requests in ``duration_s`` seconds."""
        if self.capacity is None:
            return float(sent)
        return predicted_accepted(
            sent,
            self.capacity,
            self.workers,
            self.rate_per_s,
            duration_s,
            self.work_s,
            self.hold_s,
        )

    def during_flood_per_s(self, duration_s: float) -> float:
        """Jobs per second over the whole flood; none ends before its time has passed."""
        busy_s = max(0.0, duration_s - self.work_s - self.hold_s)
        return self.rate_per_s * busy_s / duration_s if busy_s else 0.0

    def formula(self, sent: int, duration_s: float) -> str:
        """How ``accepted`` comes about, with the figures put in."""
        if self.capacity is None or math.isinf(self.rate_per_s):
            return f"all {sent}: nothing is refused"
        return (
            f"min({sent}, {self.capacity} + {self.workers} + {self.rate_per_s:.4g}/s"
            f" x max(0, {duration_s:.2f}s - {self.work_s + self.hold_s:.3g}s))"
        )


def shares_of_shards(users: int, shards: int) -> list[float]:
    """The share of the jobs that goes to each shard that has any, for users in turn."""
    counts = Counter(shard_of(f"user{number}", shards) for number in range(users))
    return [count / users for count in counts.values()]
