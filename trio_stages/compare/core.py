"""The ingest server without its I/O: what all shells have in common.

A shell (``shells/``) adds what this file leaves out: sockets, tasks, a queue, a lock, threads, and
how they end. All else is here, so that the difference between two columns is the concurrency alone.

Rules:

1. No event loop here; ``apply`` is for a thread of its own, the rest for the loop's.
2. The store believes its callers. The ladder's ledger would refuse to apply a job twice, or after
   the close: a second line of defence that every server should have, and that would hide here
   what the first line, the structure, does.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trio_stages import replies
from trio_stages.events import InvalidEvent, parse_event
from trio_stages.framing import Refused, RequestReader
from trio_stages.jobs import Job
from trio_stages.routes import EVENT_PATHS

from .recorder import Recorder, Traced
from .results import APPLY, CANCEL, CLOSE, START, STOP

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from types import TracebackType

    from trio_stages.messages import Request
    from trio_stages.replies import Reply

#: A function of a shell, which a scenario may replace by its own for the same column.
Part = Callable[..., Coroutine[Any, Any, None]]

RETRY_AFTER_S = 1
#: How long a thread that has been left behind goes on after the close: what it does last would
#: otherwise race with what its server does last.
BEHIND_S = 0.1
#: What a server may say to a client that it disconnects.
FAREWELL = replies.SHUTTING_DOWN.render(None)
#: A user whose request meets an error of ours, and one whose job does.
BUG, POISON = "bug", "poison"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a scenario wants its server.

    Attributes:
        workers: tasks that take jobs from the queue.
        capacity: places in the queue.
        job_timeout_s: how long a job may take once it has the lock.
        attempts: how often a job is tried that took too long.
        drain_s: how long a stop lets the workers go on; 0: a hard stop.
        port: 0 for any free one.
    """

    workers: int = 2
    capacity: int = 100
    job_timeout_s: float = 60.0
    attempts: int = 1
    drain_s: float = 0.0
    port: int = 0


class Poison(Exception):
    """A job that cannot be processed."""


class Bug(Exception):
    """A mistake in the code that answers a request."""


class Store:
    """The balances: read, changed and written back, as in any table without transactions.

    Whoever calls ``add`` twice at a time loses an update; a lock around it is the shells' business.

    Attributes:
        applied: how often each job has been applied.
        balance: of all users together.
        most_at_once: how many were inside ``add`` together.
        after_close: how many changes came when the store was closed.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.applied: Counter[str] = Counter()
        self.balance = 0
        self.inside = 0
        self.most_at_once = 0
        self.after_close = 0
        self.closed = False
        self._recorder = recorder
        self._counting = threading.Lock()

    def __enter__(self) -> None:
        self._recorder.event(START, "server", "store open")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._counting:
            self.closed = True
            self._recorder.event(STOP, "server", "store open")
            self._recorder.event(CLOSE, "server", "closed")

    def add(self, job: Job, work: Callable[[Job], None]) -> None:
        """Change the balance by one job; ``work`` takes its time between reading and writing."""
        with self._counting:
            self.inside += 1
            self.most_at_once = max(self.most_at_once, self.inside)
        try:
            before = self.balance
            work(job)
            with self._counting:
                self.balance = before + job.event.amount
                self.applied[job.event.user] += 1
                self.after_close += self.closed
                self._recorder.event(APPLY, f"thread: {job.event.user}", "applied")
        finally:
            with self._counting:
                self.inside -= 1


class Conversation:
    """One connection: bytes in, bytes out.

    Attributes:
        over: nothing more is to be read; what ``feed`` returned is the end.
    """

    def __init__(self, core: Core, handle: Callable[[Request], Reply]) -> None:
        self.over = False
        self._core = core
        self._reader = RequestReader()
        self._handle = handle

    def feed(self, data: bytes) -> bytes:
        """Take what the client sent (``b""``: it has ended) and return what to send back."""
        self._core.feeds += 1
        answer = b""
        try:
            request = self._reader.receive(data)
            while request is not None:
                reply = self._handle(request)
                answer += reply.render(request.head)
                if reply.close or not request.head.keep_alive:
                    self.over = True
                    return answer
                request = self._reader.next_request()
        except Refused as refused:
            self.over = True
            return answer + refused.reply.render(None)
        self.over = self._reader.at_eof
        return answer


@dataclass(slots=True)
class Core:
    """The one server of a cell.

    Attributes:
        options: the scenario's.
        work: what a job does in its thread, with the store in hand; the scenario's gates are here.
        recorder: where everything is written down.
        accepted: names of the jobs that were answered with 202.
        rejected: jobs for which there was no place.
        feeds: how often bytes have been taken from a client.
        failed: names of the jobs that raised, where somebody took notice.
    """

    options: Options = field(default_factory=Options)
    work: Callable[[Job], None] = lambda job: None
    recorder: Recorder = field(default_factory=Recorder)
    store: Store = field(init=False)
    accepted: list[str] = field(default_factory=list)
    rejected: int = 0
    failed: list[str] = field(default_factory=list)
    port: int = 0
    feeds: int = 0
    #: When a job was first given up: a thread that started late does not know how late it is.
    given_up_s: dict[str, float] = field(default_factory=dict)
    #: Blocking: what a scenario does before a job is applied, such as writing a journal.
    journal: Callable[[Job], None] = lambda job: None

    def __post_init__(self) -> None:
        self.store = Store(self.recorder)

    # A request's way

    def conversation(self, handle: Callable[[Request], Reply]) -> Conversation:
        """One connection, without its socket; ``handle`` answers a request."""
        return Conversation(self, handle)

    def parse(self, request: Request) -> Job | Reply:
        """Make a job of a request, or the reply that says why not."""
        if request.head.path == b"/health":
            return replies.HEALTHY
        if request.head.path not in EVENT_PATHS:
            return replies.NOT_FOUND
        if request.head.method != b"POST":
            return replies.POST_ONLY
        try:
            event = parse_event(request.body)
        except InvalidEvent as invalid:
            return replies.invalid_json(invalid.detail)
        if event.user == BUG:
            raise Bug("this line has never been tested")
        return Job(event)

    def accept(self, job: Job) -> Reply:
        """The job has a place in the queue."""
        self.accepted.append(job.event.user)
        return replies.ACCEPTED

    def reject(self, job: Job) -> Reply:
        """There is no place for it."""
        self.rejected += 1
        return replies.busy(RETRY_AFTER_S)

    # A job's way

    def apply(self, job: Job) -> None:
        """Apply one job: blocking, and for a thread; one at a time, for which the caller sees."""
        recorder, name = self.recorder, job.event.user
        due_s = recorder.now_s() + self.options.job_timeout_s
        with recorder.bar(f"thread: {name}", name):
            if name.startswith(POISON):
                raise Poison(name)
            self.store.add(job, self.work)
            due_s = min(due_s, self.given_up_s.pop(name, due_s))
            if recorder.now_s() > due_s:  # written down when it is over, of when it came
                recorder.event(CANCEL, f"job: {name}", "timeout", at_s=due_s)

    def outlast_close(self, at_most_s: float) -> None:
        """Blocking: go on until the server says that it is closed, and for a moment more.

        Args:
            at_most_s: how long to go on if it does not, because it waits for us.
        """
        if self.recorder.wait(CLOSE, "server", timeout_s=at_most_s):
            time.sleep(BEHIND_S)

    def fail(self, job: Job) -> None:
        """The job raised, and somebody noticed."""
        self.failed.append(job.event.user)

    def too_slow(self, job: Job) -> None:
        """The job has been given up, or so its worker believes."""
        self.given_up_s.setdefault(job.event.user, self.recorder.now_s())
        self.recorder.mark(f"job: {job.event.user}", "given up")

    # What is written down of tasks, locks and the server

    def task(self, name: str) -> AbstractContextManager[str]:
        """Around all that a task does: it is counted as running inside the block."""
        return self.recorder.bar(f"task: {name}", name, numbered=True)

    def traced(self, lock: AbstractAsyncContextManager[object], name: str = "store") -> Traced:
        """The lock, writing down when it is held."""
        return Traced(lock, f"lock: {name}", self.recorder)

    def stopping(self) -> None:
        """The signal to stop has come."""
        self.recorder.event(CANCEL, "server", "stop")

    def listening(self, port: int) -> None:
        """The server is up."""
        self.port = port
        self.recorder.mark("server", "listening")
