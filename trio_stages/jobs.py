"""An event on its way through the server, and where it may be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .events import Event


class LedgerError(RuntimeError):
    """A move that the ledger's rules forbid: the job is not where the caller believes it to be."""


class JobState(Enum):
    """Where a job is; the last four are its ends."""

    NEW = auto()
    WAITING = auto()  #: for a place in the queue (``--overflow wait``); not yet received
    QUEUED = auto()
    IN_HAND = auto()
    PROCESSED = auto()
    FAILED = auto()
    ABANDONED = auto()
    REJECTED = auto()


# By these names, for up to Python 3.11 looking a member up in its class takes a quarter of a
# microsecond, and a job is asked for its state ten times.
NEW, WAITING, QUEUED, IN_HAND, PROCESSED, FAILED, ABANDONED, REJECTED = JobState
OUTSTANDING = (QUEUED, IN_HAND)
ENDS = (PROCESSED, FAILED, ABANDONED, REJECTED)


@dataclass(slots=True, eq=False)
class Job:
    """An event on its way through the server."""

    event: Event
    state: JobState = NEW
    accepted_at_s: float = 0.0
    taken_at_s: float = 0.0
    backlog_s: float = 0.0  #: all the time there had been a backlog, when it was taken
