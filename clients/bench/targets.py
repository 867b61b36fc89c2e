"""What this project set out to reach beside its peers, and whether a run reached it.

A target is of one of three kinds: a ratio of two servers under one load, a ratio of two loads on
one server, or a figure of ours against the best framework's. Each is judged by its median.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from trio_stages.report.verdicts import Verdict

from . import figures, loads, servers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .figures import Spread
    from .generate import Sample

OURS = "ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """``ours`` is to be so many times as good as a peer under a load.

    Attributes:
        peer: whom it is measured against.
        load: under which load.
        least: the ratio that is to be reached.
        aim: the one that was aimed at; None if there is no second.
        by: accepted events per second, or CPU time for each.
    """

    peer: str
    load: str
    least: float
    aim: float | None = None
    by: Literal["accepted", "cpu"] = "accepted"


TARGETS = (
    Target(peer="fastapi-h11", load="keepalive-50", least=12, aim=15),
    Target(peer="fastapi", load="keepalive-50", least=6.5, aim=8),
    Target(peer="quart-trio", load="keepalive-50", least=40, aim=50),
    Target(peer="asgi-uvicorn", load="keepalive-50", least=2, by="cpu"),
    Target(peer="asgi-granian", load="keepalive-50", least=2, by="cpu"),
    Target(peer="aiohttp-uvloop", load="keepalive-50", least=2, by="cpu"),
    Target(peer="protocol", load="keepalive-50", least=0.5),
    Target(peer="fastapi", load="close", least=4),
    Target(peer="fastapi", load="unique", least=2.5),
)
VARYING_LEAST = 0.8  # of what we accept when all bodies have one length
ACCEPTED_LEAST = 0.99  # of the replies, at 200 connections


def verdicts(samples: Sequence[Sample]) -> list[Verdict]:
    """All targets, in order; those that this run cannot tell are ``not observed``."""
    return [
        *(_ratio(samples, target) for target in TARGETS),
        _varying(samples),
        _share_accepted(samples),
        _p99(samples),
    ]


def _ratio(samples: Sequence[Sample], target: Target) -> Verdict:
    by_cpu = target.by == "cpu"
    found = (figures.cheaper if by_cpu else figures.times)(samples, OURS, target.peer, target.load)
    aim = f", aiming at {target.aim:g}×" if target.aim else ""
    what = "CPU time for an accepted event" if by_cpu else "accepted per second"
    return Verdict(
        claim=f"at least {target.least:g}×{aim}, {servers.BY_NAME[target.peer].title}: {what}, "
        f"{loads.BY_NAME[target.load].title}",
        holds=None if found is None else found.median >= target.least,
        measured=_times(found),
    )


def _varying(samples: Sequence[Sample]) -> Verdict:
    # By CPU time: two loads stand further apart in time than two servers, and that drifts less.
    found = figures.ratio(
        *(figures.figures(samples, OURS, load, "cpu_us") for load in ("keepalive-50", "varying"))
    )
    return Verdict(
        claim=f"bodies of varying length no worse than {VARYING_LEAST:g}× those of one length: "
        "events for the same CPU time",
        holds=None if found is None else found.median >= VARYING_LEAST,
        measured=_times(found),
    )


def _share_accepted(samples: Sequence[Sample]) -> Verdict:
    found = figures.spread(samples, OURS, "keepalive-200", "share_accepted")
    return Verdict(
        claim=f"at least {ACCEPTED_LEAST:.0%} of replies accepted at 200 connections",
        holds=None if found is None else found.median >= ACCEPTED_LEAST,
        measured=f"{found.median:.2%} (lowest {found.low:.2%})" if found else "",
    )


def _p99(samples: Sequence[Sample]) -> Verdict:
    load = "keepalive-200"
    medians = {
        server.name: found.median
        for server in servers.SERVERS
        if server.kind == "framework"
        and (found := figures.spread(samples, server.name, load, "p99_ms"))
    }
    ours = figures.spread(samples, OURS, load, "p99_ms")
    best = min(medians, key=medians.__getitem__, default=None)
    claim = "p99 no worse than the best framework's, 200 connections"
    if ours is None or best is None:
        return Verdict(claim=claim, holds=None, measured="")
    return Verdict(
        claim=claim,
        holds=ours.median <= medians[best],
        measured=f"{ours.median:.1f} ms; {servers.BY_NAME[best].title}: {medians[best]:.1f} ms",
    )


def _times(found: Spread | None) -> str:
    return "" if found is None else f"{found.median:.2f}× ({found.low:.2f} to {found.high:.2f})"
