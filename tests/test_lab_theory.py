"""Queueing theory against known values, its own identities, and the stages in virtual time."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from clients.arrivals import schedule_s, users_of
from clients.lab.hotlock import saturated_at_random
from clients.lab.openloop import WARM_UP, Point
from clients.lab.simulate import RandomTimes, flood, settings_of, simulate
from trio_stages.model import service_rate_per_s
from trio_stages.queueing import MMCK, closed_network, hot_lock_bound_per_s, little_s


def test_erlang_b() -> None:
    """Ten trunks and eight Erlang: the table says 0.1217."""
    assert MMCK(8, 1, 10, 0).refused_share == pytest.approx(0.12166, abs=1e-5)


def test_a_single_worker_with_room_for_all_is_m_m_1() -> None:
    """At 0.9: nine times its service time in the queue, and an exponential tail."""
    queue = MMCK(0.9, 1.0, 1, 400)
    assert queue.delay_s == pytest.approx(9.0, rel=1e-6)
    assert queue.queued == pytest.approx(0.81 / 0.1, rel=1e-6)
    assert queue.delay_quantile_s(0.99) == pytest.approx(math.log(0.9 / 0.01) / 0.1, rel=1e-4)
    assert queue.delayed_beyond(0.0) == pytest.approx(0.9)


def test_a_single_worker_and_one_place_by_hand() -> None:
    """Chances 1 : 2 : 4 at twice the capacity."""
    queue = MMCK(2.0, 1.0, 1, 1)
    assert queue.chances == pytest.approx((1 / 7, 2 / 7, 4 / 7))
    assert queue.goodput_per_s == pytest.approx(2.0 * 3 / 7)
    assert queue.utilisation == pytest.approx(6 / 7)
    # Of the accepted third that finds somebody in hand, all wait for one exponential job.
    assert queue.delayed_beyond(0.0) == pytest.approx(2 / 3)
    assert queue.delayed_beyond(1.0) == pytest.approx(2 / 3 * math.exp(-1))


@pytest.mark.parametrize("load", [0.1, 0.5, 0.95, 1.0, 1.05, 2.0])
def test_the_sum_of_all_chances_is_one_and_goodput_is_what_the_workers_do(load: float) -> None:
    queue = MMCK(load * 1454.5, 1 / 0.011, 16, 1000)
    assert math.fsum(queue.chances) == pytest.approx(1.0)
    busy = math.fsum(chance * min(n, 16) for n, chance in enumerate(queue.chances))
    assert queue.goodput_per_s == pytest.approx(busy / 0.011)
    assert queue.goodput_per_s <= 1454.6


def test_no_delay_that_nobody_has() -> None:
    assert MMCK(1.0, 1.0, 16, 100).delay_quantile_s(0.5) == 0.0


def test_little() -> None:
    """The document's rule for the size of a queue, read forwards."""
    assert little_s(725, 1450) == 0.5
    assert little_s(1, 0.0) == math.inf


def test_one_worker_never_waits_for_a_lock() -> None:
    network = closed_network(1, 0.1, 0.01)
    assert network.rate_per_s == pytest.approx(1 / 0.11)
    assert network.wait_s == 0.0


def test_two_machines_and_a_repairman_by_hand() -> None:
    """Chances from 2λ p0 = μ p1, λ p1 = μ p2, with λ = 10 and μ = 100."""
    p0 = 1 / (1 + 2 * 0.1 + 2 * 0.01)
    assert closed_network(2, 0.1, 0.01).rate_per_s == pytest.approx(100 * (1 - p0))


def test_many_workers_come_to_the_bound_of_the_lock_and_never_beyond() -> None:
    rates = [closed_network(workers, 0.1, 0.01).rate_per_s for workers in range(1, 65)]
    assert all(after >= before * (1 - 1e-12) for before, after in pairwise(rates))
    assert rates[-1] == pytest.approx(100.0, rel=1e-6)
    for workers, rate in enumerate(rates, start=1):
        assert rate <= service_rate_per_s(workers, 0.1, 0.01, one_lock=True) * (1 + 1e-9)


def test_the_hottest_of_several_locks_is_the_bound() -> None:
    shares = (0.7, 0.2, 0.1)
    assert hot_lock_bound_per_s(0.01, shares) == pytest.approx(1 / 0.007)
    network = closed_network(200, 0.1, 0.01, shares)
    assert network.rate_per_s == pytest.approx(1 / 0.007, rel=0.01)
    assert network.utilisation[0] == pytest.approx(1.0, abs=0.01)
    assert hot_lock_bound_per_s(0.0, shares) == math.inf


def test_the_closed_network_is_what_a_stage_does_with_random_times() -> None:
    """Eight workers behind one lock: 66 jobs/s, where constant times would give 73."""
    simulated = saturated_at_random(8, 100.0, 10.0)
    assert simulated.busy_per_s == pytest.approx(closed_network(8, 0.1, 0.01).rate_per_s, rel=0.04)


def test_mmck_is_what_a_stage_does_under_random_arrivals() -> None:
    """Two workers and three places at 1.2× their capacity: every third one is refused or so."""
    load, jobs, rate_per_s = 1.2, 4000, 20.0
    settings = settings_of(8, workers=2, work_ms=100.0, hold_ms=0.0, capacity=3, state="per-user")
    times_s = schedule_s("poisson", jobs, load * rate_per_s, seed=5)
    drive = flood(times_s, users_of(jobs, 10))
    point = Point.of(load, simulate(8, drive, RandomTimes.of(settings)).recording)
    queue = MMCK(load * rate_per_s, 10.0, 2, 3)
    assert 0 < WARM_UP < 1
    assert point.goodput_per_s == pytest.approx(queue.goodput_per_s, rel=0.04)
    assert point.refused_share == pytest.approx(queue.refused_share, abs=0.02)
    assert point.queued == pytest.approx(queue.queued, rel=0.08)
    assert point.delay_p99_s == pytest.approx(queue.delay_quantile_s(0.99), rel=0.1)
    assert point.queued == pytest.approx(point.goodput_per_s * point.delay_s, rel=0.05)
