"""Which lock guards whom: the same one in every run, spread evenly, one each when asked for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_stages.locks import LockTimes, TimedThreadLock
from trio_stages.state.guards import GuardPerUser, OneGuard, ShardedGuards, shard_of
from trio_stages.state.spread import blake2b_shard_of, main, spread


def new_lock() -> TimedThreadLock:
    return TimedThreadLock(LockTimes())


NAMES = ["", "alice", "user19", "Zoë", "日本", "\ud800", "nul\0nul", "x" * 256]


def test_a_user_has_the_same_shard_in_every_run() -> None:
    program = f"from trio_stages.state.guards import shard_of\nfor name in {NAMES!a}:\n"
    program += "    print(shard_of(name, 1000003))\n"
    here = [shard_of(name, 1000003) for name in NAMES]
    for seed in ("0", "1"):
        run = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert [int(line) for line in run.stdout.split()] == here


def test_and_in_every_release() -> None:
    assert [shard_of(user, 8) for user in ("alice", "bob", "user0", "user1")] == [7, 0, 3, 5]


@given(st.text(st.characters()), st.integers(1, 40))
def test_every_name_has_a_shard_and_always_the_same_guard(user: str, shards: int) -> None:
    routing = ShardedGuards(shards, new_lock)
    assert len(routing.guards()) == shards
    assert routing.guard_of(user) is routing.find(user) is routing.guards()[shard_of(user, shards)]


@pytest.mark.parametrize("shards", [4, 8, 16, 64])
@pytest.mark.parametrize("users", [1_000, 100_000])
def test_users_are_spread_at_least_as_evenly_as_by_chance(users: int, shards: int) -> None:
    fewest, most = spread(shard_of, users, shards)
    fewest_by_chance, most_by_chance = spread(blake2b_shard_of, users, shards)
    assert fewest_by_chance <= fewest <= most <= most_by_chance


@pytest.mark.untraced
def test_the_spread_is_the_one_that_guards_py_tells_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert spread(shard_of, 100_000, 8) == (12_498, 12_502)
    assert spread(blake2b_shard_of, 100_000, 8) == (12_316, 12_657)
    assert spread(lambda user, shards: 0, 3, 2) == (0, 3)
    main()
    assert "100,000 users,  8 shards: 12,498 to 12,502 in each" in capsys.readouterr().out


@pytest.mark.parametrize("shards", [0, -1])
def test_there_is_at_least_one_shard(shards: int) -> None:
    with pytest.raises(ValueError, match="at least one shard"):
        ShardedGuards(shards, new_lock)


def test_one_guard_is_everybodys() -> None:
    routing = OneGuard(new_lock)
    assert routing.guard_of("alice") is routing.guard_of("bob") is routing.find("carol")
    assert list(routing.guards()) == [routing.guard_of("alice")]


def test_a_guard_per_user_is_created_only_to_write() -> None:
    routing = GuardPerUser(new_lock)
    assert routing.find("alice") is None
    assert not routing.guards()
    alice, bob = routing.guard_of("alice"), routing.guard_of("bob")
    assert alice is not bob
    assert routing.find("alice") is routing.guard_of("alice") is alice
    assert list(routing.guards()) == [alice, bob]


def test_threads_that_see_a_user_first_agree_on_its_guard() -> None:
    threads = 4
    meeting = threading.Barrier(threads)

    def new_lock_when_all_are_here() -> TimedThreadLock:
        with suppress(threading.BrokenBarrierError):  # only one of them makes a lock: as good
            meeting.wait(0.2)
        return new_lock()

    routing = GuardPerUser(new_lock_when_all_are_here)
    with ThreadPoolExecutor(threads) as pool:
        found = Counter(pool.map(routing.guard_of, ["alice"] * threads))
    assert list(found.values()) == [threads]
    assert list(found) == list(routing.guards())
