"""What others have measured or written, as data: the document's figures and the Rust original's.

The document is the course that this ladder follows, eight stages written for Rust and Tokio. Its
figures are quoted as they stand, whether or not they fit each other. The original is its code,
measured on the same kind of machine as ours (2 cores, release build, tokio 1.24, median of 7).
"""

from __future__ import annotations

from typing import NamedTuple

# Stage 7's 500 ms table: workers, what the document expects in jobs/s, what it says happens.
PLATEAU = (
    (1, 2, "works fine, no contention"),
    (4, 8, "OK, some waiting"),
    (16, 32, "plateaus at ~10-12 jobs/sec"),
    (64, 128, "actually slower due to overhead"),
)
PLATEAU_PER_S = (10, 12)


class Flood(NamedTuple):
    """5000 requests, 200 at a time."""

    requests_per_s: int
    latency_ms: float
    accepted: int
    rejected: int


DOCUMENT_STAGE_7 = Flood(12_937, 13.8, 138, 4862)
DOCUMENT_STAGE_8 = Flood(10_799, 16.7, 1536, 3464)
ORIGINAL_STAGE_7 = Flood(14_400, 6.8, 139, 4861)
ORIGINAL_STAGE_8 = Flood(13_800, 5.7, 1464, 3536)
DOCUMENT_DURATION_S = {7: 0.39, 8: 0.46}
DOCUMENT_IMPROVEMENT = 11.0


class Controlled(NamedTuple):
    """One row of the experiment that the original was put through: client 8, 100 users.

    Attributes:
        state: how the balances are locked.
        capacity: places in the queue.
        work_ms: outside the lock.
        hold_ms: of the job's second part.
        inside: whether that part is spent in the lock.
        accepted: of 5000.
        drain_per_s: jobs per second of the backlog.
    """

    state: str
    capacity: int
    work_ms: float
    hold_ms: float
    inside: bool
    accepted: int
    drain_per_s: int


CONTROLLED = (
    Controlled("mutex", 100, 100, 10, True, 139, 98),
    Controlled("mutex", 1000, 100, 10, True, 1040, 99),
    Controlled("sharded", 100, 100, 10, True, 162, 147),
    Controlled("sharded", 100, 100, 10, False, 164, 152),
    Controlled("mutex", 1000, 10, 1, True, 1317, 896),
    Controlled("mutex", 1000, 10, 1, False, 1433, 1314),
    Controlled("sharded", 1000, 10, 1, False, 1432, 1312),
    Controlled("sharded", 1000, 10, 1, True, 1451, 1302),
)

# The sizing table's own arithmetic: places, what the document says of them.
SIZES = (
    (10, "over-rejects, wastes capacity"),
    (100, "fast rejection, too aggressive"),
    (1000, "balanced, a good trade-off"),
    (100_000, "never rejects, memory bomb: 69 s to drain, 50 to 100 MB"),
)
DRAIN_OF_100_000_S = 69.0
SIZING_RULE = ((725, 0.5), (2900, 2.0))  # places, acceptable latency in seconds, at 1,450 jobs/s
