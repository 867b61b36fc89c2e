"""What is counted in every cell, and what the names mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .results import CANCEL, CLOSE, START, STOP

if TYPE_CHECKING:
    from .core import Core
    from .results import Event, Metric

#: For readers of a table; a scenario may have metrics of its own besides.
MEANING = {
    "outcome": "ended by itself, or still running at its limit (HANG)",
    "ended_by": "how the server's main function ended: 'return', or the exceptions that it raised",
    "raised": "the exceptions that came out of it, those in groups one by one; or 'nothing'",
    "exit_status": "what the process would have told its parent: 0, 1 for an error, 130 for Ctrl-C",
    "accepted": "jobs answered with 202",
    "rejected": "jobs answered with 503",
    "applied": "changes of the balance",
    "applied_twice": "jobs that changed the balance more than once",
    "lost": "accepted jobs that never changed the balance, nor are reported as failed",
    "lost_updates": "changes of the balance that another one overwrote",
    "overlaps": "threads that were in the critical section beside another one",
    "after_close": "changes of the balance after the server had said that it was closed",
    "tasks_left": "tasks still running when the server said that it was closed",
    "threads_left": "jobs still running in threads at that moment",
    "threads_behind": "jobs still running in threads when the server's main function returned",
    "locks_left": "locks still held at that moment",
    "quiesce_ms": "from the signal to stop until the server said that it was closed",
}


def measure(core: Core) -> dict[str, Metric]:
    """Count what the core and its record show."""
    store = core.store
    applied = store.applied.total()
    settled = set(store.applied) | set(core.failed)
    events = core.recorder.events()
    closed_s = next((event.at_s for event in events if event.kind == CLOSE), None)
    stop_s = next(
        (e.at_s for e in events if (e.kind, e.lane) == (CANCEL, "server")),
        None,
    )
    metrics: dict[str, Metric] = {
        "accepted": len(core.accepted),
        "rejected": core.rejected,
        "applied": applied,
        "applied_twice": sum(count > 1 for count in store.applied.values()),
        "lost": sum(name not in settled for name in core.accepted),
        "lost_updates": applied - store.balance,
        "overlaps": max(0, store.most_at_once - 1),
        "after_close": store.after_close,
        "tasks_left": _open_at(events, "task", closed_s),
        "threads_left": _open_at(events, "thread", closed_s),
        "locks_left": _open_at(events, "lock", closed_s),
    }
    if closed_s is not None and stop_s is not None:
        metrics["quiesce_ms"] = round((closed_s - stop_s) * 1000, 1)
    return metrics


def _open_at(events: tuple[Event, ...], lanes: str, at_s: float | None) -> int:
    """Bars in these lanes that had begun and not ended at that time; None: at the end of it all."""
    until = [event for event in events if at_s is None or event.at_s <= at_s]
    kinds = [event.kind for event in until if event.lane_kind == lanes]
    return kinds.count(START) - kinds.count(STOP)
