"""What happened inside a stage, moment by moment: a ledger and a lock's meter that remember.

They are put into a stage's telemetry before it serves, in place of its own, and do all that those
do. The same two record a server in a process of its own (``host.py``) and one in virtual time
(``simulate.py``), so that both fill the same plots.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left, bisect_right
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from trio_stages.jobs import JobState
from trio_stages.ledger import Ledger
from trio_stages.locks import LockTimes

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from pathlib import Path

    from trio_stages.jobs import Job
    from trio_stages.telemetry import Telemetry


class Passage(NamedTuple):
    """Through a lock: asked for, got and left, in seconds, by which worker and for which user."""

    worker: int
    user: str
    asked_s: float
    got_s: float
    left_s: float


@dataclass(slots=True, kw_only=True)
class Recording:
    """Times in seconds of the recorder's clock, each list in the order of time.

    Attributes:
        accepted_s: when each event was.
        rejected_s: the same of those refused.
        taken_s: when each job was taken into a hand.
        delays_s: how long each of these had been queued.
        completed_s: when each effect happened.
        passages: through the locks.
    """

    accepted_s: list[float] = field(default_factory=list)
    rejected_s: list[float] = field(default_factory=list)
    taken_s: list[float] = field(default_factory=list)
    delays_s: list[float] = field(default_factory=list)
    completed_s: list[float] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)

    @property
    def started_s(self) -> float:
        """When the first event came."""
        return min((times[0] for times in (self.accepted_s, self.rejected_s) if times), default=0.0)

    @property
    def ended_s(self) -> float:
        """When the last event came."""
        return max(
            (times[-1] for times in (self.accepted_s, self.rejected_s) if times), default=0.0
        )

    def queue_depth(self, points: int = 300) -> list[tuple[float, float]]:
        """(Seconds since the start, jobs queued) at so many moments until the last completion."""
        return self._counts(points, lambda at: _up_to(self.accepted_s, at) - self._taken(at))

    def refusals(self, points: int = 300) -> list[tuple[float, float]]:
        """(Seconds since the start, events refused so far)."""
        return self._counts(points, lambda at: _up_to(self.rejected_s, at))

    def _counts(self, points: int, count: Callable[[float], float]) -> list[tuple[float, float]]:
        start_s = self.started_s
        end_s = max(self.ended_s, self.completed_s[-1] if self.completed_s else 0.0)
        moments = [start_s + (end_s - start_s) * step / points for step in range(points + 1)]
        return [(round(at - start_s, 6), float(count(at))) for at in moments]

    def _taken(self, at: float) -> int:
        return _up_to(self.taken_s, at)

    def rate_per_s(
        self, workers: int, start_s: float = -math.inf, end_s: float = math.inf
    ) -> float:
        """Jobs per second between completions from ``start_s`` to ``end_s``.

        Workers that began together end together, in bursts; so what is counted is a whole number of
        rounds, from a completion to the one so many times ``workers`` later.

        Args:
            workers: of the pool.
            start_s: of the clock; from the first completion then.
            end_s: of the clock; up to the last completion before.

        Returns:
            nan if there was no whole round.
        """
        done = self.completed_s[bisect_left(self.completed_s, start_s) :]
        done = done[: bisect_right(done, end_s)]
        jobs = (len(done) - 1) // workers * workers
        if jobs < workers or done[jobs] <= done[0]:
            return math.nan
        return jobs / (done[jobs] - done[0])

    @property
    def emptied_s(self) -> float:
        """When the last job was taken out of the queue: workers idle from then on."""
        return self.taken_s[-1] if self.taken_s else math.nan

    def waits_s(self) -> list[float]:
        """For the locks, in order of size."""
        return sorted(passage.got_s - passage.asked_s for passage in self.passages)

    def holds_s(self) -> list[float]:
        """Of the locks, in order of size."""
        return sorted(passage.left_s - passage.got_s for passage in self.passages)

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Recording:
        """What ``write`` wrote."""
        content: dict[str, Any] = json.loads(path.read_text())
        passages = [Passage(*passage) for passage in content.pop("passages")]
        return cls(**content, passages=passages)


def quantile(ordered: Sequence[float], q: float) -> float:
    """The nearest rank; nan of nothing."""
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else math.nan


def cumulative(ordered: Sequence[float], scale: float = 1.0) -> tuple[tuple[float, float], ...]:
    """(Value, share of all not above it), in at most 200 steps, for a plot."""
    count = len(ordered)
    ranks = sorted({max(1, round(count * step / 200)) for step in range(1, 201)} if count else ())
    return tuple((ordered[rank - 1] * scale, rank / count) for rank in ranks)


def _up_to(times: Sequence[float], at: float) -> int:
    return bisect_right(times, at)


class Recorder:
    """Makes a recording of one stage.

    Args:
        clock: seconds; the ledger's.
        who: whose step this is: the thread that passes a lock, or the task.
    """

    def __init__(self, clock: Callable[[], float], who: Callable[[], Hashable]) -> None:
        self.recording = Recording()
        self.clock = clock
        self.who = who
        self.user_of: dict[Hashable, str] = {}  # whose job somebody is applying
        self._workers: dict[Hashable, int] = {}

    def attach(self, telemetry: Telemetry) -> None:
        """Record what this telemetry counts; before its stage serves."""
        telemetry.ledger = _RecordingLedger(self)
        telemetry.lock = _RecordingLockTimes(self)

    def worker(self, who: Hashable) -> int:
        """A small number for somebody, counted from 0 in the order of appearance."""
        return self._workers.setdefault(who, len(self._workers))

    def finish(self) -> Recording:
        """The recording, its lists in the order of time (threads append a moment late)."""
        recording = self.recording
        recording.completed_s.sort()
        recording.passages.sort(key=lambda passage: passage.left_s)
        return recording


class _RecordingLedger(Ledger):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder.clock)
        self._recorder = recorder

    def accept(self, job: Job, *, handed_over: bool = False) -> None:
        super().accept(job, handed_over=handed_over)
        self._recorder.recording.accepted_s.append(job.accepted_at_s)
        if handed_over:
            self._note_taken(job)

    def reject(self, job: Job) -> None:
        super().reject(job)
        self._recorder.recording.rejected_s.append(self.clock())

    def take(self, job: Job) -> None:
        handed_over = job.state is JobState.IN_HAND
        super().take(job)
        if not handed_over:
            self._note_taken(job)

    def apply(self, job: Job, effect: Callable[[int], int]) -> int:
        balance = super().apply(job, effect)
        recorder = self._recorder
        recorder.recording.completed_s.append(self.clock())
        recorder.user_of[recorder.who()] = job.event.user
        return balance

    def _note_taken(self, job: Job) -> None:
        now_s = self.clock()
        self._recorder.recording.taken_s.append(now_s)
        self._recorder.recording.delays_s.append(now_s - job.accepted_at_s)


class _RecordingLockTimes(LockTimes):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def record(self, wait_s: float, hold_s: float) -> None:
        super().record(wait_s, hold_s)
        recorder = self._recorder
        who = recorder.who()
        user = recorder.user_of.pop(who, None)
        if user is None:  # a reader
            return
        left_s = recorder.clock()
        got_s = left_s - hold_s
        recorder.recording.passages.append(
            Passage(recorder.worker(who), user, got_s - wait_s, got_s, left_s)
        )
