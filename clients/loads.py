"""What is sent: a load as data, and the document's own load for every stage."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache

from .arrivals import Arrivals, schedule_s, users_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One run of events.

    Request ``i`` carries user ``i % users``, so that every user gets its share; with ``skew`` it is
    drawn by Zipf's law, the same for the same seed.

    Attributes:
        requests: how many in all.
        concurrency: connections, and so the most requests on their way at once.
        users: ``user0`` … ``user{users - 1}``, in turn.
        amount: of every event.
        rate_per_s: None for a closed loop, where a connection sends when its last reply is in;
            otherwise an open loop, whatever the server does.
        new_connections: a connection for every request.
        arrivals: of an open loop: constant, or Poisson.
        skew: the exponent of Zipf's law; 0: users in turn.
        seed: of all that is random.
    """

    requests: int
    concurrency: int
    users: int = 20
    amount: int = 10
    action: str = "deposit"
    rate_per_s: float | None = None
    new_connections: bool = False
    arrivals: Arrivals = "constant"
    skew: float = 0.0
    seed: int = 1

    def bodies(self) -> tuple[bytes, ...]:
        """One body a user."""
        return tuple(
            json.dumps(
                {"user": user, "action": self.action, "amount": self.amount}, separators=(",", ":")
            ).encode()
            for user in map(self.name, range(self.users))
        )

    @staticmethod
    def name(user: int) -> str:
        """Of a user."""
        return f"user{user}"

    def user(self, number: int) -> str:
        """Whose event request ``number`` carries."""
        return self.name(self.users_in_order()[number])

    def users_in_order(self) -> tuple[int, ...]:
        """Whose event each request carries."""
        return _users_in_order(self.requests, self.users, self.skew, self.seed)

    def schedule_s(self) -> list[float] | None:
        """When each request is to be sent, in seconds from the start; None in a closed loop."""
        if self.rate_per_s is None:
            return None
        return schedule_s(self.arrivals, self.requests, self.rate_per_s, self.seed)


@lru_cache(maxsize=16)
def _users_in_order(requests: int, users: int, skew: float, seed: int) -> tuple[int, ...]:
    return tuple(users_of(requests, users, skew, seed))


TITLES = {
    1: "Blocking",
    2: "Concurrency",
    3: "Validation",
    4: "Shared State",
    5: "Backpressure",
    6: "Worker Pool",
    7: "Lock Contention",
    8: "Sharding",
    9: "Metrics",
    10: "Graceful Shutdown",
}

_FLOOD = Load(requests=5000, concurrency=200)
_FLOOD_OF_100 = replace(_FLOOD, users=100)

LOADS = {
    1: Load(requests=200, concurrency=20, new_connections=True),  # it answers one a connection
    2: Load(requests=200, concurrency=20),
    3: Load(requests=1000, concurrency=50),
    4: Load(requests=10, concurrency=10, users=10),  # at 2 requests/s: 5 s
    5: Load(requests=1000, concurrency=50, amount=1),  # 50 clients × 20 requests
    6: Load(requests=1000, concurrency=50),
    7: _FLOOD,
    8: _FLOOD_OF_100,
    9: _FLOOD_OF_100,
    10: _FLOOD_OF_100,
}
