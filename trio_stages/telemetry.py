"""What a stage can tell of itself: ``/stats``, the final line, and ``Retry-After``.

Everything is counted where it happens (ledger, locks, connections) and put together here on
reading, so that the hot path pays for counters alone.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import trio

from .ledger import Ledger
from .locks import LockTimes
from .model import service_rate_per_s
from .work import gil_enabled

if TYPE_CHECKING:
    from collections.abc import Callable

    from .histogram import HistogramStatistics
    from .options import Settings

RETRY_AFTER_S = (1, 60)
# What the stages before have nothing to say about; the final line has it all the same, as zeros.
FIRST_STAGE = {"queue_delay_ms": 5, "drain_rate_per_s": 5, "lock": 7}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


class Telemetry:
    """The instruments of one running stage.

    Args:
        settings: the options in force.
        clock: seconds; see ``Ledger``.
    """

    def __init__(
        self, settings: Settings, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.settings = settings
        self.ledger = Ledger(clock)
        self.lock = LockTimes()
        self.connections = 0
        self.connections_refused = 0
        #: Set when a graceful stop begins.
        self.drain_begun = trio.Event()
        self._processed_before_drain = 0
        #: Reads all balances without waiting for a lock; for the final line.
        self.peek_balances: Callable[[], dict[str, int]] = dict
        self._clock = clock
        self._started_s = clock()
        self._configured_rate_per_s = service_rate_per_s(
            settings.workers,
            settings.work_s,
            settings.hold_s,
            one_lock=settings.state in ("mutex", "rwlock")
            or (settings.state == "sharded" and settings.shards == 1),
            one_core=settings.work == "cpu" and (settings.offload == "task" or gil_enabled()),
        )

    @property
    def draining(self) -> bool:
        """A graceful stop has begun."""
        return self.drain_begun.is_set()

    def begin_draining(self) -> None:
        """A graceful stop begins: readiness turns, and what is not accepted yet is refused."""
        if not self.draining:
            self.drain_begun.set()
            self._processed_before_drain = self.ledger.statistics().processed

    def retry_after_s(self) -> int:
        """How long until what is queued now is done: queued ÷ drain rate, whole seconds."""
        rate_per_s = self.ledger.drain_rate_per_s() or self._configured_rate_per_s
        shortest, longest = RETRY_AFTER_S
        return min(longest, max(shortest, math.ceil(self.ledger.queued / rate_per_s)))

    def stats(self) -> dict[str, Any]:
        """The contract's ``/stats``."""
        stage = self.settings.stage
        return {k: v for k, v in self._all().items() if stage >= FIRST_STAGE.get(k, 1)}

    def _all(self) -> dict[str, Any]:
        settings = self.settings
        ledger = self.ledger.statistics()
        lock = self.lock.statistics()
        delay = self.ledger.queue_delay.statistics()
        return {
            "stage": settings.stage,
            "config": settings.in_force(),
            "uptime_s": round(self._clock() - self._started_s, 3),
            "received": ledger.received,
            "accepted": ledger.accepted,
            "rejected": ledger.rejected,
            "invalid": ledger.invalid,
            "http_errors": ledger.http_errors,
            "processed": ledger.processed,
            "failed": ledger.failed,
            "abandoned": ledger.abandoned,
            "queued": ledger.queued,
            "waiting": ledger.waiting,
            "in_hand": ledger.in_hand,
            "capacity": settings.capacity,
            "workers": settings.workers if settings.stage >= 5 else 0,
            "connections": self.connections,
            "connections_refused": self.connections_refused,
            "draining": self.draining,
            "queue_delay_ms": {"p50": _ms(delay.p50), "p99": _ms(delay.p99), "max": _ms(delay.max)},
            "drain_rate_per_s": round(self.ledger.drain_rate_per_s() or 0.0, 3),
            "lock": {
                "acquisitions": lock.acquisitions,
                "wait_ms": _summary_ms(lock.wait),
                "hold_ms": _summary_ms(lock.hold),
            },
        }

    def final(self) -> dict[str, Any]:
        """``stats`` with the keys of all stages, and the proof that every effect was counted once.

        After a graceful stop also ``drained``: the jobs that were finished after it began.
        """
        ledger, stage = self.ledger.statistics(), self.settings.stage
        final = {
            k: _zero(v) if stage < FIRST_STAGE.get(k, 1) else v for k, v in self._all().items()
        }
        final |= {
            "balances_total": sum(self.peek_balances().values()),
            "processed_amount": ledger.processed_amount,
        }
        if self.draining:
            final["drained"] = ledger.processed - self._processed_before_drain
        return final


def _zero(figures: Any) -> Any:
    return {k: _zero(v) for k, v in figures.items()} if isinstance(figures, dict) else 0


def _summary_ms(times: HistogramStatistics) -> dict[str, float]:
    return {
        "p50": _ms(times.p50),
        "p99": _ms(times.p99),
        "max": _ms(times.max),
        "total": _ms(times.total),
    }
