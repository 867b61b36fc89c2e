"""Requests as data, whoever read them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Head:
    """What the head of a request says, with all that matters for framing."""

    method: bytes
    path: bytes  #: without query, scheme and authority
    body_bytes: int  #: declared length; 0 with ``chunked``
    chunked: bool
    expects_continue: bool
    keep_alive: bool
    http_1_0: bool
    plain: bool  #: nothing in it that asks for more than reading a body of known length


@dataclass(slots=True)
class Request:
    """A complete request; not frozen, for that would take twice the time to make."""

    head: Head
    body: bytes
