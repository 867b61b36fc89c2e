"""A stage that remembers every moment: the same books, and what plots are made of."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from clients.arrivals import schedule_s, users_of, zipf_shares
from clients.lab import pictures
from clients.lab.bench import Bench, Processors
from clients.lab.recording import Passage, Recording, cumulative, quantile
from clients.lab.twins import simulate_flood
from clients.loads import LOADS, Load

if TYPE_CHECKING:
    from pathlib import Path

RECORDING = Recording(
    accepted_s=[10.0, 10.0, 10.0, 11.0],
    rejected_s=[10.5],
    taken_s=[10.0, 11.0, 12.0, 13.0],
    delays_s=[0.0, 1.0, 2.0, 2.0],
    completed_s=[11.0, 12.0, 13.0, 14.0],
    passages=[Passage(0, "user0", 10.5, 10.5, 11.0), Passage(0, "user1", 11.5, 11.75, 12.0)],
)


def test_depth_and_refusals_over_time() -> None:
    assert RECORDING.queue_depth(4) == [(0, 2.0), (1, 2.0), (2, 1.0), (3, 0.0), (4, 0.0)]
    assert RECORDING.refusals(4) == [(0, 0.0), (1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0)]


def test_a_rate_counts_whole_rounds() -> None:
    """Four workers that end together, three times: not eleven jobs in two seconds."""
    bursts = Recording(completed_s=[1.0] * 4 + [2.0] * 4 + [3.0] * 4)
    assert bursts.rate_per_s(4) == 4.0
    assert bursts.rate_per_s(4, start_s=1.5) == 4.0
    assert math.isnan(bursts.rate_per_s(4, end_s=1.5))
    assert math.isnan(Recording().rate_per_s(1))
    assert RECORDING.rate_per_s(1) == 1.0


def test_waits_holds_and_quantiles() -> None:
    assert RECORDING.waits_s() == [0.0, 0.25]
    assert RECORDING.holds_s() == [0.25, 0.5]
    assert quantile([1, 2, 3, 4], 0.5) == 2
    assert quantile([1, 2, 3, 4], 0.99) == 4
    assert math.isnan(quantile([], 0.5))
    assert cumulative([1.0, 3.0], 10) == ((10.0, 0.5), (30.0, 1.0))
    assert cumulative([]) == ()


def test_there_and_back_again(tmp_path: Path) -> None:
    file = tmp_path / "recording.json"
    RECORDING.write(file)
    assert Recording.read(file) == RECORDING


def test_a_recorded_stage_keeps_the_same_books() -> None:
    simulated = simulate_flood(7, LOADS[7], 0.39, {})
    recording, final = simulated.recording, simulated.final
    assert len(recording.accepted_s) == final["accepted"]
    assert len(recording.rejected_s) == final["rejected"]
    assert len(recording.taken_s) == len(recording.completed_s) == final["processed"]
    assert len(recording.passages) == final["lock"]["acquisitions"]
    assert max(depth for _, depth in recording.queue_depth(2000)) == 100
    assert max(recording.delays_s) * 1000 == pytest.approx(final["queue_delay_ms"]["max"], abs=1e-3)
    assert {passage.worker for passage in recording.passages} == set(range(16))


def test_lanes_are_in_order_and_do_not_overlap_and_holds_of_one_lock_never_do() -> None:
    recording = simulate_flood(7, LOADS[7], 0.39, {}).recording
    plot = pictures.lanes(recording, 0.1, "t", "c", length_s=1.0)
    assert len(plot.lanes) == 16
    for lane in plot.lanes:
        for before, after in pairwise(lane.spans):
            assert before.start_s < before.end_s <= after.start_s
        assert {span.what for span in lane.spans} == {"work", "wait", "hold"}
    holds = sorted(
        (span.start_s, span.end_s)
        for lane in plot.lanes
        for span in lane.spans
        if span.what == "hold"
    )
    assert all(a[1] <= b[0] + 1e-5 for a, b in pairwise(holds))


async def test_a_recorded_server_over_sockets_and_its_ledger() -> None:
    """And what stands beside a flood is cancelled at its end."""
    bench = Bench(quick=True, processors=Processors())
    load = Load(requests=60, concurrency=10, users=5, skew=1.0)
    options = ["--work-ms", "20", "--hold-ms", "2", "--capacity", "20", "--workers", "2"]
    flooded = await bench.flood(7, load, options)
    recording = flooded.recording
    assert bench.ledger == []
    assert len(recording.accepted_s) == flooded.result.accepted == flooded.final["processed"]
    assert len(recording.passages) == flooded.result.accepted
    assert flooded.workers == 2
    assert flooded.model.rate_per_s == pytest.approx(2 / 0.022)
    assert min(recording.holds_s()) >= 0.002
    assert 0 < flooded.drain_per_s < 1.05 * 2 / 0.022
    stopped = await bench.flood(5, load, settle_s=0.0)
    final = stopped.final
    assert final["abandoned"] + final["processed"] == stopped.result.accepted == 60
    assert final["abandoned"]
    assert bench.ledger == []


@pytest.mark.parametrize("settle_s", [0.0, math.inf])
@pytest.mark.parametrize("check", ["check_final", "check_counters", "check_balances"])
async def test_every_difference_in_a_ledger_is_noted(
    check: str, settle_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"clients.ledgercheck.{check}", lambda *_, **__: ["one too many"])
    bench = Bench(quick=True, processors=Processors())
    load = Load(requests=5, concurrency=1)
    await bench.flood(6, load, ["--work-ms", "1"], settle_s=settle_s)
    assert bench.ledger == ["stage 6 --work-ms 1: one too many"]


# Arrivals


def test_constant_and_poisson_schedules() -> None:
    assert schedule_s("constant", 3, 10.0) == [0.0, 0.1, 0.2]
    times_s = schedule_s("poisson", 5000, 100.0, seed=2)
    assert len(times_s) == 5000
    assert times_s == sorted(times_s) == schedule_s("poisson", 5000, 100.0, seed=2)
    assert times_s[-1] == pytest.approx(50.0, rel=0.05)
    gaps = [b - a for a, b in pairwise(times_s)]
    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert deviation == pytest.approx(mean, rel=0.1)  # what makes it Poisson's


def test_zipf() -> None:
    assert zipf_shares(4, 0.0) == [0.25] * 4
    assert zipf_shares(2, 1.0) == pytest.approx([2 / 3, 1 / 3])
    assert users_of(5, 3) == [0, 1, 2, 0, 1]
    drawn = users_of(6000, 10, 1.0, seed=4)
    for user, share in enumerate(zipf_shares(10, 1.0)):
        assert drawn.count(user) / 6000 == pytest.approx(share, abs=0.02)


def test_a_load_knows_whose_each_request_is() -> None:
    load = Load(requests=100, concurrency=1, users=10, skew=2.0)
    assert load.users_in_order() == tuple(users_of(100, 10, 2.0, 1))
    assert load.user(5) == f"user{load.users_in_order()[5]}"
    assert load.schedule_s() is None
    assert Load(requests=3, concurrency=1, rate_per_s=2.0).schedule_s() == [0.0, 0.5, 1.0]
