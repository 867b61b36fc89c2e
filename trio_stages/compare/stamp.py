"""What a result was seen on."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from .results import Stamp

PACKAGES = ("trio", "anyio", "h11", "pydantic")


def stamp() -> Stamp:
    """This interpreter."""
    return Stamp(
        python=platform.python_version(),
        versions={package: _version(package) for package in PACKAGES},
        system=f"{platform.system()} {platform.machine()}",
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        gil=bool(getattr(sys, "_is_gil_enabled", lambda: True)()),
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
