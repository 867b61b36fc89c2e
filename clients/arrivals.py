"""When requests come, and whose they are: schedules as plain lists, the same for the same seed.

Constant arrivals are what a metronome sends, Poisson ones what many clients send who know nothing
of each other: the gaps are exponential, and any stretch of time may bring twice as many as the
last. Users in turn load all alike; by Zipf's law the n-th most active one sends ``n ** -skew`` of
what the first one does, as words in a text do, and customers in a shop.
"""

from __future__ import annotations

from itertools import accumulate
from random import Random
from typing import Literal

Arrivals = Literal["constant", "poisson"]


def schedule_s(arrivals: Arrivals, count: int, rate_per_s: float, seed: int = 1) -> list[float]:
    """When each request is to be sent.

    Args:
        arrivals: how they are spread.
        count: how many.
        rate_per_s: on average.
        seed: of the random gaps.

    Returns:
        Seconds from the start, never falling; the first is sent at once.
    """
    if arrivals == "constant":
        return [number / rate_per_s for number in range(count)]
    random = Random(seed)
    gaps_s = (random.expovariate(rate_per_s) for _ in range(count - 1))
    return [0.0, *accumulate(gaps_s)][:count]


def zipf_shares(users: int, skew: float) -> list[float]:
    """The share of all requests that each user sends, the most active one first.

    Args:
        users: how many.
        skew: the exponent; 0: all alike.
    """
    weights = [rank**-skew for rank in range(1, users + 1)]
    total = sum(weights)
    return [weight / total for weight in weights]


def users_of(count: int, users: int, skew: float = 0.0, seed: int = 1) -> list[int]:
    """Whose each request is: in turn without skew, else drawn by Zipf's law.

    Args:
        count: requests.
        users: numbered from 0, the most active one first.
        skew: the exponent of Zipf's law.
        seed: of the draws.
    """
    if not skew:
        return [number % users for number in range(count)]
    return Random(seed).choices(range(users), zipf_shares(users, skew), k=count)
