"""What must hold after a trial, whatever has struck: books, promises, last words, leftovers."""

from __future__ import annotations

import errno
import gc
import io
import json
import logging
import os
import sys
import threading
import time
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

from fault_jobs import JobError
from support import Traffic, bits, broken_rules

from trio_stages.ledger import LedgerError
from trio_stages.logs import configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults import Trial
    from support import Response

    from trio_stages.options import Settings

# How long a thread may take to end that has nothing to do any more.
A_MOMENT_S = 2.0


@dataclass
class Promises(Traffic):
    """Also which events the clients were promised."""

    made: dict[str, int] = field(default_factory=dict)  #: user → amounts answered with 200 or 202

    def answered(self, user: str, amount: int, response: Response) -> None:
        """Note the reply to one event."""
        self.replies[response.status] += 1
        if response.status in (200, 202):
            self.promised += 1
            self.made[user] = self.made.get(user, 0) | amount

    def broken(self, balances: dict[str, int]) -> int:
        """How many promised events are in no balance."""
        return sum(bits(all_ & ~balances.get(user, 0)) for user, all_ in self.made.items())


# The log


class Disk(io.TextIOBase):
    """What the log is written to."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return len(text)


class Complaints(logging.Handler):
    """Exceptions in the log that are not the faults' own: somebody has swallowed a bug."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, BaseException]] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, JobError):
            self.heard.append((record.getMessage(), error))


@contextmanager
def logging_to(disk: Disk, settings: Settings) -> Iterator[Complaints]:
    """The stage's own logging, written to ``disk`` while the block runs."""
    root, complaints = logging.getLogger(), Complaints()
    handlers, level, raise_exceptions = root.handlers, root.level, logging.raiseExceptions
    root.handlers = []
    try:
        with redirect_stderr(disk):
            configure_logging(settings)
        root.addHandler(complaints)
        yield complaints
    finally:
        root.handlers, logging.raiseExceptions = handlers, raise_exceptions
        root.setLevel(level)


# Resources


@dataclass
class Leftovers:
    """What a trial has not given back."""

    found: list[str] = field(default_factory=list)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Compare what there is after the block with what there was before."""
        descriptors, threads = open_descriptors(), busy_threads()
        with mock.patch.object(sys, "unraisablehook", self._unraisable):
            yield
            gc.collect()
        if descriptors != open_descriptors():
            self.found.append(f"file descriptors: {descriptors}, then {open_descriptors()}")
        give_up_s = time.monotonic() + A_MOMENT_S
        while busy_threads() - threads and time.monotonic() < give_up_s:
            time.sleep(0.001)  # they have been told, and may take a moment
        self.found += [f"thread {thread.name}" for thread in busy_threads() - threads]

    def _unraisable(self, unraisable: Any) -> None:
        self.found.append(f"{unraisable.exc_value!r} in {unraisable.object!r}")


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def busy_threads() -> set[threading.Thread]:
    """All threads but those of Trio's that wait for work.

    And but a dummy's, which stands for one that ``threading`` has not started, even when that is
    over: the last words' own, and these are waited for.
    """
    idle = ("Trio thread", "Dummy-")
    return {thread for thread in threading.enumerate() if not thread.name.startswith(idle)}


# The audit


def audit(trial: Trial) -> Iterator[str]:
    """What is wrong after a trial, a line each."""
    server, traffic, stage = trial.server, trial.traffic, trial.scene.stage
    books, balances = server.books, server.balances
    yield from server.watch.problems[:3]
    yield from broken_rules(books)
    # The last words seal the books, so look before; a thread that was given up is still at it.
    if (end := trial.at_the_end) is not None and (end.queued or end.waiting or end.in_hand):
        yield f"something was outstanding at the end: {end}"
    if books.queued or books.waiting or books.in_hand:
        yield f"something is outstanding: {books}"
    if server.telemetry.connections:
        yield f"{server.telemetry.connections} connections are outstanding"
    if sum(balances.values()) != books.processed_amount:
        yield f"balances {sum(balances.values())} != processed_amount: {books}"
    try:
        traffic.check(server)
    except AssertionError as error:
        yield f"not what was sent: {error!r}"
    lost = books.failed + books.abandoned if stage >= 5 else 0
    if stage >= 4 and (broken := traffic.broken(balances)) > lost:
        yield f"{broken} broken promises: {books}"
    if books.failed != trial.jobs.failures and not trial.gave_up:
        yield f"{trial.jobs.failures} jobs raised: {books}"
    if books.abandoned and not trial.may_abandon:
        yield f"no job had to be abandoned: {books}"
    for message, complaint in trial.complaints.heard[:3]:
        if not (trial.gave_up and isinstance(complaint, LedgerError)):
            yield f"{message}: {complaint!r}"
    yield from _last_words(trial)


def _last_words(trial: Trial) -> Iterator[str]:
    """The final line is the truth, and so is the exit status."""
    books, said = trial.server.books, trial.said.getvalue()
    try:
        final = json.loads(said)["final"]
    except ValueError:
        yield f"the final line is {said!r}"
        return
    for name in ("received", "accepted", "processed", "failed", "abandoned", "queued", "in_hand"):
        if final[name] != getattr(books, name):
            yield f"the final line says {name} {final[name]}: {books}"
    if trial.status != (3 if books.abandoned else 0):
        yield f"exit status {trial.status}: {books}"
