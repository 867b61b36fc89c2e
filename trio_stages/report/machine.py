"""On what a report was measured: enough to judge its figures, nothing that names the machine."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from trio_stages import __version__
from trio_stages.work import gil_enabled

# What a figure may depend on; those that are not installed are left out.
PACKAGES = ("trio", "h11", "pydantic", "hypercorn", "anyio", "uvloop", "trio-parallel")


def machine() -> dict[str, str]:
    """The interpreter, the system, the cores and the versions, as a report's stamp.

    Returns:
        Names to text, in the order in which a reader looks for them; never a host name, a user or
        a path.
    """
    release = platform.release().partition("-")[0]  # behind it stands who built it
    facts = {
        "trio_stages": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}, "
        + ("with the GIL" if gil_enabled() else "free-threaded"),
        "system": f"{platform.system()} {release}, {platform.machine()}",
        "cores": _cores(),
    }
    if processor := _processor():
        facts["processor"] = processor
    for name in PACKAGES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            continue
    return facts


def _cores() -> str:
    there = os.cpu_count() or 1
    if sys.platform == "linux":  # a container may have fewer than the machine
        ours = len(os.sched_getaffinity(0))
        if ours != there:
            return f"{ours} of {there}"
    return str(there)


def _processor() -> str:
    # platform.processor() is empty on most Linux systems.
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "" if sys.platform == "linux" else platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "")
