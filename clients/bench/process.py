"""What a server costs, with all its children: CPU time and memory, read in /proc (Linux)."""

from __future__ import annotations

import os
import resource
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdecimal() and (fields := _stat(int(path.name))):
            children.setdefault(int(fields[1]), []).append(int(path.name))
    found = [pid]
    for each in found:  # grows as we go
        found += children.get(each, [])
    return found


def cpu_s(pids: list[int]) -> float:
    """User and system time of these processes, all threads, in seconds."""
    ticks = sum(int(f[11]) + int(f[12]) for f in map(_stat, pids) if f)
    return ticks / TICKS_PER_S


def resident_bytes(pids: list[int]) -> int:
    """Physical memory of these processes; what they share counts once for each."""
    pages = 0
    for pid in pids:
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
        except OSError:  # it has ended
            continue
    return pages * resource.getpagesize()


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name: state, ppid, …; none if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return []
