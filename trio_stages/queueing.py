"""Queueing theory for the stages: what arithmetic expects beyond the first bound of ``model.py``.

- ``MMCK``: a pool of workers behind a bounded queue, under random arrivals. The stage's own words
  for its letters: M, Poisson arrivals; M, exponential times of jobs; c, workers; K, places in all,
  those in a worker's hand included. Beyond them an arrival is refused.
- ``closed_network``: workers that work, wait for one of several locks, hold it, and begin again.
  It answers what a hot lock, a hot shard and a hot key let through.
- Little's law, ``jobs = rate × time``, is a line: ``little_s``.

Both models take service times to be exponential, more random than a simulated sleep; what a stage
does with constant times is the same in the limits and a little better in between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def little_s(jobs: float, rate_per_s: float) -> float:
    """The mean time that a job spends where ``jobs`` are on average: jobs ÷ rate.

    Little's law: it needs no assumption but that nothing is lost inside, neither on arrivals nor on
    service, nor on the order (J. D. C. Little, "A proof for the queuing formula L = λW", Operations
    Research 9, 1961). The document's rule for the size of a queue is the same line, read backwards.

    Args:
        jobs: there on average (or, for a full queue, its capacity).
        rate_per_s: of jobs that pass through.

    Returns:
        Seconds; inf if nothing passes.
    """
    return jobs / rate_per_s if rate_per_s > 0 else math.inf


@dataclass(frozen=True)
class MMCK:
    """A pool of workers behind a bounded queue, in its steady state (Erlang's model).

    The chance of n jobs in the system follows from p(n) × arrivals = p(n+1) × min(n+1, c) × rate of
    one worker; see any textbook, such as Gross and Harris, "Fundamentals of Queueing Theory",
    section 2.5 (c servers, truncated).

    Args:
        arrivals_per_s: offered, on average.
        worker_per_s: jobs that one busy worker finishes: 1 ÷ mean time of a job.
        workers: c.
        capacity: places in the queue, those in hand not included: K = capacity + workers.
    """

    arrivals_per_s: float
    worker_per_s: float
    workers: int
    capacity: int

    @cached_property
    def chances(self) -> tuple[float, ...]:
        """Of 0, 1, … K jobs in the system."""
        steps = (
            self.arrivals_per_s / (self.worker_per_s * min(jobs, self.workers))
            for jobs in range(1, self.capacity + self.workers + 1)
        )
        # Logarithms: a thousand places at twice the capacity is 2 ** 1000.
        logs = list(accumulate((math.log(step) for step in steps), initial=0.0))
        most = max(logs)
        weights = [math.exp(each - most) for each in logs]
        total = math.fsum(weights)
        return tuple(weight / total for weight in weights)

    @property
    def refused_share(self) -> float:
        """Of the arrivals: those that find no place (PASTA: they see the average moment)."""
        return self.chances[-1]

    @property
    def goodput_per_s(self) -> float:
        """Jobs done per second."""
        return self.arrivals_per_s * (1 - self.refused_share)

    @property
    def queued(self) -> float:
        """Jobs in the queue, on average."""
        return math.fsum(
            chance * max(0, jobs - self.workers) for jobs, chance in enumerate(self.chances)
        )

    @property
    def utilisation(self) -> float:
        """The share of their time for which workers are busy."""
        return self.goodput_per_s / (self.workers * self.worker_per_s)

    @property
    def delay_s(self) -> float:
        """Mean time in the queue of the jobs that got in, by Little's law."""
        return little_s(self.queued, self.goodput_per_s)

    def delayed_beyond(self, delay_s: float) -> float:
        """The share of the accepted jobs that queue for longer than so many seconds.

        A job that finds n in the system, c or more, waits for n - c + 1 departures, which come at
        c × the rate of one worker: longer than t, if fewer than that many come within t.
        """
        departures = self.workers * self.worker_per_s * delay_s
        # fewer[n]: the chance that at most n come, a sum of Poisson terms.
        fewer = list(accumulate(_poisson(departures, count) for count in range(self.capacity)))
        late = (
            self.chances[self.workers + behind] * min(1.0, chance)
            for behind, chance in enumerate(fewer)
        )
        return math.fsum(late) / (1 - self.refused_share)

    def delay_quantile_s(self, q: float) -> float:
        """The delay that the fraction ``q`` of the accepted jobs does not exceed, in seconds."""
        low, high = 0.0, 1.0 / self.worker_per_s
        if self.delayed_beyond(0.0) <= 1 - q:
            return 0.0
        while self.delayed_beyond(high) > 1 - q:
            high *= 2
        while high - low > 1e-6 * high:
            middle = (low + high) / 2
            if self.delayed_beyond(middle) > 1 - q:
                low = middle
            else:
                high = middle
        return high


def _poisson(mean: float, count: int) -> float:
    if not mean:
        return 0.0 if count else 1.0
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))


@dataclass(frozen=True, slots=True)
class ClosedNetwork:
    """What workers get done that share locks; see ``closed_network``.

    Attributes:
        rate_per_s: jobs finished by all workers together.
        wait_s: mean wait for a lock, the hold not included.
        utilisation: of each lock.
    """

    rate_per_s: float
    wait_s: float
    utilisation: tuple[float, ...]


def closed_network(
    workers: int, work_s: float, hold_s: float, shares: Sequence[float] = (1.0,)
) -> ClosedNetwork:
    """Workers that always have a job: work, then hold the lock that the job's user belongs to.

    Mean value analysis (M. Reiser and S. S. Lavenberg, "Mean-value analysis of closed multichain
    queuing networks", Journal of the ACM 27, 1980): with one more worker, whoever comes to a lock
    finds there on average what the network with one less had. With a single lock it is the
    machine-repair model, the machines being the workers and the repairman the lock.

    Args:
        workers: of the pool.
        work_s: mean seconds of a job outside the locks.
        hold_s: mean seconds inside one, exponential.
        shares: of the jobs that go to each lock; one lock for all by default.
    """
    queues = [0.0] * len(shares)
    rate_per_s = wait_s = 0.0
    for count in range(1, workers + 1):
        times_s = [hold_s * (1 + queue) for queue in queues]
        inside_s = math.fsum(share * time for share, time in zip(shares, times_s, strict=True))
        rate_per_s = count / (work_s + inside_s) if work_s + inside_s else math.inf
        wait_s = inside_s - hold_s
        queues = [rate_per_s * share * time for share, time in zip(shares, times_s, strict=True)]
    return ClosedNetwork(rate_per_s, wait_s, tuple(rate_per_s * share * hold_s for share in shares))


def hot_lock_bound_per_s(hold_s: float, shares: Sequence[float]) -> float:
    """Jobs per second that the busiest lock lets through, whatever the number of workers.

    ``1 ÷ (hold × its share)``: the bound of ``model.py``, for a lock that only some go through.
    """
    return 1 / (hold_s * max(shares)) if hold_s else math.inf
