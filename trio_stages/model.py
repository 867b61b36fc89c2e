"""What a stage ought to do, from arithmetic alone: beside every measured figure stands its theory.

A job takes ``work_s`` outside the lock and ``hold_s`` inside it. Two things bound the rate at which
a pool finishes jobs: every worker is busy for ``work_s + hold_s`` a job, and behind one lock only
one of them at a time can be in its ``hold_s``.

- Stage 7: 16 workers, 100 ms + 10 ms, one lock: min(16 / 0.110, 1 / 0.010) = min(145, 100) jobs/s.
- Stage 8: 16 workers, 10 ms + 1 ms, a lock per shard: 16 / 0.011 = 1,455 jobs/s.
- Stage 4 does all its work inside one lock: 1 worker, ``work_s`` 0, ``hold_s`` 0.5: 2 jobs/s.
"""

from __future__ import annotations

import math


def service_rate_per_s(
    workers: int, work_s: float, hold_s: float, *, one_lock: bool, one_core: bool = False
) -> float:
    """The jobs per second that the workers can finish together.

    ``min(workers / (work_s + hold_s), 1 / hold_s)``, the second term only behind one lock.

    Args:
        workers: how many jobs may be in hand at once.
        work_s: seconds that a job takes outside the lock.
        hold_s: seconds that a job holds its lock.
        one_lock: whether all jobs share that lock.
        one_core: whether the jobs burn CPU that only one of them can have at a time, as in the
            tasks of one thread and, under the GIL, in all threads.

    Returns:
        Jobs per second; ``math.inf`` when a job takes no time.
    """
    job_s = work_s + hold_s
    pool_per_s = (1 if one_core else workers) / job_s if job_s > 0 else math.inf
    lock_per_s = 1 / hold_s if one_lock and hold_s > 0 else math.inf
    return min(pool_per_s, lock_per_s)


def predicted_accepted(
    sent: int,
    capacity: int,
    workers: int,
    rate_per_s: float,
    duration_s: float,
    work_s: float,
    hold_s: float,
) -> float:
    """The jobs that a bounded queue accepts from a flood that outruns its workers.

    ``min(sent, capacity + workers + rate_per_s × max(0, duration_s - work_s - hold_s))``: the queue
    fills, every worker takes a job, and each job finished during the flood frees a place; none is
    finished before the first ``work_s + hold_s`` have passed. The document's stage 7:
    100 + 16 + 100 × (0.39 - 0.11) = 144; it measured 138.

    Args:
        sent: requests of the flood.
        capacity: places in the queue.
        workers: jobs in hand at once.
        rate_per_s: jobs finished per second, see ``service_rate_per_s``.
        duration_s: seconds that the flood lasted.
        work_s: seconds that a job takes outside the lock.
        hold_s: seconds that a job holds its lock.

    Returns:
        Jobs, not rounded.
    """
    if math.isinf(rate_per_s):  # a queue that empties at once never refuses
        return float(sent)
    draining_s = max(0.0, duration_s - work_s - hold_s)
    return min(float(sent), capacity + workers + rate_per_s * draining_s)
