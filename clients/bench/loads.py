"""The loads: what is sent, by how many connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Shape = Literal["same", "unique", "varying", "pipelined", "close"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One load; every request is a valid event.

    Attributes:
        name: on the command line and in ``results.json``.
        title: for people.
        shape: ``same``: the canonical event, over and over; ``unique``: a header field that no
            request before had; ``varying``: bodies of 256 lengths; ``pipelined``: sixteen requests
            before the first reply; ``close``: a connection for each.
        connections: open at a time.
        quick: whether ``--quick`` takes it.
    """

    name: str
    title: str
    shape: Shape
    connections: int
    quick: bool = False


LOADS = (
    Load(
        name="keepalive-50",
        title="keep-alive, 50 connections",
        shape="same",
        connections=50,
        quick=True,
    ),
    Load(name="keepalive-200", title="keep-alive, 200 connections", shape="same", connections=200),
    Load(
        name="keepalive-1000", title="keep-alive, 1,000 connections", shape="same", connections=1000
    ),
    Load(name="close", title="a connection per request", shape="close", connections=50, quick=True),
    Load(
        name="unique",
        title="unique headers on each request",
        shape="unique",
        connections=50,
        quick=True,
    ),
    Load(
        name="varying", title="bodies of 256 lengths", shape="varying", connections=50, quick=True
    ),
    Load(name="pipelined", title="sixteen requests at a time", shape="pipelined", connections=50),
)
BY_NAME = {load.name: load for load in LOADS}
PIPELINED = 16
LENGTHS = 256
