"""What the contract promises and Hypercorn cannot give: each with its reason, and tested.

Hypercorn owns the connections there, so what happens before a request is complete, or after its
reply is handed over, is its business. ``test_hypercorn.py`` holds it to what is said here, and runs
all other rows of ``test_contract.py`` unchanged; ``hostile.py`` is about malformed input.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """One promise that is kept on our own server only.

    Attributes:
        what: the matter.
        ours: what the contract says, and our server does.
        hypercorn: what happens there.
        why: the reason.
        test: in ``test_hypercorn.py``, of ``hypercorn``.
        rows: of ``test_contract.py``, less the stage, that cannot hold there.
    """

    what: str
    ours: str
    hypercorn: str
    why: str
    test: str
    rows: tuple[str, ...] = ()


DIFFERENCES = (
    Difference(
        what="what is not HTTP",
        ours="400 invalid_http as JSON, counted in http_errors, close",
        hypercorn="400 without a body, not counted, close",
        why="Hypercorn answers it by itself; the application never hears of it",
        test="test_what_is_not_http_gets_a_bare_400",
        rows=(
            "test_what_is_not_http_gets_400_and_a_close",
            "test_what_counts_as_what[not HTTP]",
        ),
    ),
    Difference(
        what="a request that is cut short",
        ours="400 invalid_http as JSON, counted in http_errors",
        hypercorn="400 without a body, not counted",
        why="Hypercorn answers; the application is told that the client has gone",
        test="test_a_request_that_is_cut_short_gets_a_bare_400",
        rows=("test_what_counts_as_what[cut short]",),
    ),
    Difference(
        what="connections in /stats and /metrics",
        ours="how many are open",
        hypercorn="0",
        why="an application hears of requests, not of connections",
        test="test_connections_are_not_counted",
        rows=("test_stats_says_what_is_in_force",),
    ),
    Difference(
        what="--max-connections",
        ours="503 too_many_connections beyond it, /health excepted",
        hypercorn="no limit",
        why="Hypercorn has none",
        test="test_there_is_no_limit_on_connections",
    ),
    Difference(
        what="--header-timeout",
        ours="408 request_timeout",
        hypercorn="a close without a reply, at --idle-timeout after the accept or the last reply",
        why="its timer for idle connections runs until a head is complete; it has no other",
        test="test_a_slow_head_ends_at_the_idle_timeout",
    ),
    Difference(
        what="--write-timeout",
        ours="a client that takes no reply is cut off",
        hypercorn="it is waited for; at a stop the process leaves half a second after the deadline",
        why="it sends in a scope that is shielded even from cancellation",
        test="test_there_is_no_timeout_for_writing",
    ),
    Difference(
        what="the last call",
        ours="idle connections see a FIN, and what they send meanwhile is read",
        hypercorn="they are closed at once when the last call is over",
        why="Hypercorn does not linger: bytes on their way at that moment meet a reset",
        test="test_an_idle_connection_is_closed_when_the_last_call_is_over",
    ),
    Difference(
        what="a WebSocket handshake",
        ours="an ordinary GET: 404, or 405 on an event path",
        hypercorn="403",
        why="Hypercorn speaks WebSocket, and the application refuses",
        test="test_a_websocket_is_refused",
    ),
)

ROWS = {row: difference for difference in DIFFERENCES for row in difference.rows}
