"""Who may pass a reader-writer lock, and when: the decisions, without any waiting.

Rules:

1. Inside are any number of readers, or one writer, or nobody.
2. One queue: whoever has to wait is let in in the order of arrival, readers that stand next to each
   other together. Nobody overtakes, so neither a stream of readers can starve a writer, nor a
   stream of writers a reader.
3. Whoever leaves the queue or the inside, for whatever reason, lets in all who now can be.

That new readers queue up behind a writer who waits is the turnstile of the no-starve
readers-writers solution in Downey's "The Little Book of Semaphores" (section 4.2). His is made of
semaphores, and ours of a queue, because a semaphore may be no fairer than a race: a
``threading.Lock`` promises no order, and a thread that lets go of one and asks again at once mostly
has it back before the one that slept has woken up. Here the place is handed to the one whose turn
it is, and then that one is woken up.

Nothing here waits or knows of threads or tasks: ``threads.py`` and ``tasks.py`` wait, each in its
own way, and in ``threads.py`` a mutex keeps every call whole.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Ticket:
    """One reader's or writer's way in and out.

    Args:
        writes: it wants to be alone.
        let_in: called once, when its turn has come; must not wait.
    """

    __slots__ = ("inside", "let_in", "writes")

    def __init__(self, writes: bool, let_in: Callable[[], object]) -> None:
        self.writes = writes
        self.let_in = let_in
        self.inside = False


class Turnstile:
    """The state of one reader-writer lock."""

    __slots__ = ("_queue", "_readers", "_writer")

    def __init__(self) -> None:
        self._queue: deque[Ticket] = deque()
        self._readers = 0
        self._writer = False

    def arrive(self, ticket: Ticket) -> None:
        """Queue up, and be let in at once if it is free. Each arrival must ``leave`` once."""
        self._queue.append(ticket)
        self._let_in()

    def leave(self, ticket: Ticket) -> None:
        """Go, from the inside or, having given up, from the queue."""
        if not ticket.inside:
            self._queue.remove(ticket)
        elif ticket.writes:
            self._writer = False
        else:
            self._readers -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._queue and not self._writer and not (self._queue[0].writes and self._readers):
            ticket = self._queue.popleft()
            if ticket.writes:
                self._writer = True
            else:
                self._readers += 1
            ticket.inside = True
            ticket.let_in()
