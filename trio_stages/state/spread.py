"""How evenly two hashes spread users over shards, and what they cost: see ``guards.py``.

Run it: ``python -m trio_stages.state.spread``.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import partial
from timeit import repeat
from typing import TYPE_CHECKING

from .guards import shard_of

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 100_000


def blake2b_shard_of(user: str, shards: int) -> int:
    """The same as ``shard_of``, by a cryptographic hash."""
    digest = hashlib.blake2b(user.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards


def spread(choose: Callable[[str, int], int], users: int, shards: int) -> tuple[int, int]:
    """How many of ``user0``, ``user1``, … the emptiest and the fullest shard get."""
    filled = Counter(choose(f"user{number}", shards) for number in range(users))
    return min(filled[shard] for shard in range(shards)), max(filled.values())


def main() -> None:
    """Print cost and spread of both."""
    for name, choose in (("crc32", shard_of), ("blake2b", blake2b_shard_of)):
        cost_s = min(repeat(partial(choose, "user12345", 8), number=CALLS)) / CALLS
        print(f"{name}: {cost_s * 1e6:.2f} µs a user")
        for users in (20, 100, 100_000):
            for shards in (4, 8, 16, 64):
                fewest, most = spread(choose, users, shards)
                print(f"  {users:7,} users, {shards:2} shards: {fewest:6,} to {most:6,} in each")


if __name__ == "__main__":
    main()
