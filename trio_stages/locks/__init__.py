"""Locks that know how long they were waited for, and how long they were held.

- ``times.py``: what is measured, per acquisition, per lock, and over all locks together;
- ``threads.py``: a mutex and a reader-writer lock for threads, ``with lock.write():``;
- ``tasks.py``: the same two for Trio tasks, ``async with lock.write():``;
- ``turnstile.py``: who may pass a reader-writer lock, and in which order; it waits for nothing
  itself, so that both colours share it.
"""

from .tasks import Passage, TimedTaskLock, TimedTaskRWLock
from .threads import TimedThreadLock, TimedThreadRWLock
from .times import Acquisition, LockStatistics, LockTimes, LockTotals

__all__ = [
    "Acquisition",
    "LockStatistics",
    "LockTimes",
    "LockTotals",
    "Passage",
    "TimedTaskLock",
    "TimedTaskRWLock",
    "TimedThreadLock",
    "TimedThreadRWLock",
]
