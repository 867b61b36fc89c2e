"""What Python and the C library are told about memory: their defaults are for smaller programs.

Both figures come from ``clients.soak``: ten thousand connections, or bodies that never end.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

# Python searches for cyclic garbage when 700 more objects have come than gone, a dozen connections,
# and every so often it walks through all there are: beside 10,000 connections it froze the loop for
# half a second, and a stop took three times as long. There are next to no cycles here.
GARBAGE_THRESHOLD = 50_000
# A buffer of this size goes back to the system when it is freed. That is glibc's habit too, until
# the first time: from then on it keeps such buffers in the heap, where small neighbours pin them.
# After 900 unfinished bodies of 1 MB the process stayed at 1,270 MB; so it comes back to 70. With a
# smaller figure each job in a thread would cost more: whenever a thread wakes the loop, Trio reads
# into 64 KiB, twice, and a large buffer is two calls of the kernel and a page fault.
MMAP_FROM_BYTES = 66_000
_M_MMAP_THRESHOLD = -3  # <malloc.h>


def configure_memory() -> None:
    """Set both for the process; what is not glibc keeps its own ways."""
    gc.set_threshold(GARBAGE_THRESHOLD)
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, MMAP_FROM_BYTES)
