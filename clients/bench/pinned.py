"""``python pinned.py CPUS COMMAND …``: become a command that runs on these CPUs only.

CPUS is ``0,2`` or ``-`` for any; the pid stays the same. Children inherit it.
"""

from __future__ import annotations

import os
import sys


def command(cpus: frozenset[int] | None, argv: list[str]) -> list[str]:
    """The command line that runs another one, pinned."""
    where = ",".join(map(str, sorted(cpus))) if cpus else "-"
    return [sys.executable, __file__, where, *argv]  # by its path: it may run in another checkout


def split() -> tuple[frozenset[int] | None, frozenset[int] | None]:
    """The CPU of a server and that of its load: apart if there are two, else None for both."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        return None, None
    return frozenset(cpus[-1:]), frozenset(cpus[:1])


if __name__ == "__main__":
    if sys.argv[1] != "-":
        os.sched_setaffinity(0, map(int, sys.argv[1].split(",")))
    os.execvp(sys.argv[2], sys.argv[2:])
