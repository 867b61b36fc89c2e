"""Stopping on SIGINT and SIGTERM, also where the event loop itself is stuck in a blocking call.

Trio's own ``open_signal_receiver`` delivers a signal as the loop's next work. That is the right
tool in a server that never blocks its loop; here stage 1 does so on purpose, and a signal delivered
to a frozen loop would arrive when it is too late. So the handler, which Python runs in the main
thread between two bytecodes, does one of two things:

1. Normally it asks the loop to stop, through the one entry that is safe in a signal handler.
2. Within ``interruptible()`` it stops right there, and if that has cancelled everything it raises,
   which ends the blocking call (PEP 475: a system call is retried unless the handler raises). A
   graceful stop leaves the call alone: its work is to be finished.

Either way each signal is acted upon once.
"""

from __future__ import annotations

import signal
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

T = TypeVar("T")

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: What a ``stop`` returns that has cancelled nothing.
GRACEFULLY = object()


class _BrokenOff(BaseException):
    """Raised by the handler out of a blocking call; never leaves this module."""


class _Stopper:
    def __init__(self, stop: Callable[[], object], received: Callable[[], None]) -> None:
        self._stop = stop
        self._received = received
        self.blocking = False
        self.was_called = False
        self.cancelled = False  # everything
        self._acting = False
        # Signals that nobody has acted upon yet. A deque, for a handler may interrupt another.
        self._pending: deque[int] = deque()
        self._token = trio.lowlevel.current_trio_token()

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        self.was_called = True
        self._received()
        self._pending.append(signum)
        if self._acting or not self.blocking:
            self._token.run_sync_soon(self.act)
            return
        self.act()
        if self.cancelled:
            self.blocking = False  # once is enough: the next signal may come anywhere
            raise _BrokenOff

    def act(self) -> None:
        """Stop, once for each signal; one stop at a time."""
        self._acting = True
        try:
            while True:
                self._pending.pop()
                self.cancelled |= self._stop() is not GRACEFULLY
        except IndexError:
            pass
        finally:
            self._acting = False


_current: _Stopper | None = None


@contextmanager
def stop_on_signals(
    stop: Callable[[], object], received: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Call ``stop`` in the Trio thread on each SIGINT or SIGTERM while the block runs.

    Once there has been one, they are ignored behind the block.

    Args:
        stop: plain function, such as ``scope.cancel``; called once per signal. It returns
            ``GRACEFULLY`` if the work in hand shall go on.
        received: called first, in the signal's handler, however stuck the loop is.
    """
    global _current
    previous = _current
    _current = stopper = _Stopper(stop, received)
    handlers = {number: signal.signal(number, stopper) for number in STOP_SIGNALS}
    try:
        yield
    except* _BrokenOff:  # the signal came in the last instruction of a blocking section
        pass
    finally:
        # Who has been stopped is on its way out: a further signal would cut its last words short.
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_IGN if stopper.was_called else handler)
        _current = previous


def interruptible(blocking_call: Callable[..., T], *args: Any) -> T | None:
    """Make a blocking call in the Trio thread which a stop signal breaks off.

    Returns:
        What the call returns; None if it was broken off. Whatever runs the stage has then been
        cancelled, so the next checkpoint raises ``trio.Cancelled``.
    """
    stopper = _current
    if stopper is None:
        return blocking_call(*args)
    try:
        stopper.blocking = True
        stopper.act()  # on what has come since the loop's last turn
        if stopper.cancelled:
            return None
        return blocking_call(*args)
    except _BrokenOff:
        return None
    finally:
        stopper.blocking = False
