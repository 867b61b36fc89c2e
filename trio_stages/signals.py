"""Stopping on SIGINT and SIGTERM, also where the event loop itself is stuck in a blocking call.

Trio's own ``open_signal_receiver`` delivers a signal as the loop's next work. That is the right
tool in a server that never blocks its loop; here stage 1 does so on purpose, and a signal delivered
to a frozen loop would arrive when it is too late. So the handler, which Python runs in the main
thread between two bytecodes, does one of two things:

1. Normally it asks the loop to cancel, through the one entry that is safe in a signal handler.
2. Within ``interruptible()`` it cancels right there and raises, which ends the blocking call
   (PEP 475: a system call is retried unless the handler raises).
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

T = TypeVar("T")

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _BrokenOff(BaseException):
    """Raised by the handler out of a blocking call; never leaves this module."""


class _Stopper:
    def __init__(self, stop: Callable[[], None]) -> None:
        self.stop = stop
        self.blocking = False
        self.received = False
        self.token = trio.lowlevel.current_trio_token()

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        self.received = True
        if self.blocking:
            self.blocking = False  # once is enough: the next signal may come anywhere
            self.stop()
            raise _BrokenOff
        self.token.run_sync_soon(self.stop)


_current: _Stopper | None = None


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` in the Trio thread on each SIGINT or SIGTERM while the block runs.

    Once there has been one, they are ignored behind the block.

    Args:
        stop: plain function, such as ``scope.cancel``; called once per signal.
    """
    global _current
    previous = _current
    _current = stopper = _Stopper(stop)
    handlers = {number: signal.signal(number, stopper) for number in STOP_SIGNALS}
    try:
        yield
    except* _BrokenOff:  # the signal came in the last instruction of a blocking section
        pass
    finally:
        # Who has been stopped is on its way out: a further signal would cut its last words short.
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_IGN if stopper.received else handler)
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
        if stopper.received:  # since the loop's last turn: nobody has acted on it yet
            stopper.stop()
            return None
        return blocking_call(*args)
    except _BrokenOff:
        return None
    finally:
        stopper.blocking = False
