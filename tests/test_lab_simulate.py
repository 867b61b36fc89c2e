"""Virtual time is exact: what the model says to the job, a stage does, and twice the same."""

from __future__ import annotations

import pytest

from clients.lab.hotlock import saturated
from clients.lab.readers import mixed
from clients.lab.shutdown import stopped_in_flood
from clients.lab.simulate import RandomTimes, Stage, flood, settings_of, simulate
from clients.lab.sizing import bytes_per_job, overfilled
from clients.lab.twins import simulate_flood
from clients.loads import LOADS, Load
from clients.prediction import Model
from trio_stages.model import predicted_accepted

pytestmark = pytest.mark.untraced

BURST = Load(requests=200, concurrency=50)
SHORT = Load(requests=700, concurrency=50, users=100)


def test_ten_requests_behind_one_lock_take_five_seconds() -> None:
    simulated = simulate(4, flood([0.0] * 10, range(10), tasks=True), settings_of(4))
    assert simulated.flood_s == 5.0
    assert simulated.accepted == 10


def test_a_burst_at_stage_5_is_101_and_two_a_second() -> None:
    simulated = simulate_flood(5, BURST, 0.1, {})
    assert (simulated.accepted, simulated.rejected) == (101, 99)
    assert simulated.busy_per_s == 2.0
    assert simulated.recording.completed_s[-1] == pytest.approx(101 * 0.5)
    assert simulated.final["balances_total"] == 101 * BURST.amount


def test_stage_6_is_four_times_as_fast() -> None:
    simulated = simulate_flood(6, BURST, 0.1, {})
    assert simulated.accepted == 104
    assert simulated.busy_per_s == pytest.approx(8.0)


@pytest.mark.parametrize(("stage", "rate_per_s"), [(7, 100.0), (8, 16 / 0.011)])
def test_the_model_within_one_percent(stage: int, rate_per_s: float) -> None:
    load = LOADS[stage]
    simulated = simulate_flood(stage, load, 0.39, {})
    settings = simulated.settings
    predicted = predicted_accepted(
        load.requests, settings.capacity, 16, rate_per_s, 0.39, settings.work_s, settings.hold_s
    )
    assert simulated.accepted == pytest.approx(predicted, rel=0.01)
    assert simulated.busy_per_s == pytest.approx(rate_per_s, rel=0.01)


@pytest.mark.parametrize("workers", [1, 4, 64])
def test_the_sweep_over_workers_is_the_bound_exactly(workers: int) -> None:
    expected = min(workers / 0.11, 100.0)
    assert saturated(workers, 100.0, 10.0).busy_per_s == pytest.approx(expected, rel=1e-6)


def test_beyond_eleven_workers_everybody_waits_for_the_others() -> None:
    """Workers × hold - (work + hold): sixteen wait 50 ms each time."""
    recording = saturated(16, 100.0, 10.0).recording
    waits = recording.waits_s()
    assert waits[len(waits) // 2] == pytest.approx(0.05)
    assert recording.holds_s()[0] == pytest.approx(0.01)


def test_bunches_of_arrivals_change_next_to_nothing() -> None:
    one, ten = (simulate_flood(7, SHORT, 0.39, {}, bunch) for bunch in (1, 10))
    assert ten.accepted == pytest.approx(one.accepted, abs=1)


def test_the_same_twice() -> None:
    """To the last digit, but for who goes first of those who come in one moment."""
    first, second = (simulate_flood(8, SHORT, 0.0987, {}) for _ in range(2))
    one, two = first.recording, second.recording
    assert (one.accepted_s, one.taken_s, one.delays_s) == (
        two.accepted_s,
        two.taken_s,
        two.delays_s,
    )
    assert one.completed_s == two.completed_s
    assert one.waits_s() == two.waits_s()
    assert first.virtual_s == second.virtual_s


def test_random_times_are_the_same_for_the_same_seed_and_have_their_mean() -> None:
    settings = RandomTimes.of(settings_of(7), seed=3)
    drawn = [settings.work_s for _ in range(2000)]
    assert sum(drawn) / len(drawn) == pytest.approx(0.1, rel=0.1)
    again = RandomTimes.of(settings_of(7), seed=3)
    assert [again.work_s for _ in range(2000)] == drawn
    assert RandomTimes.of(settings_of(7, hold_ms=0.0)).hold_s == 0.0


def test_a_graceful_stop_amid_a_flood_loses_nothing() -> None:
    final = stopped_in_flood().final
    assert final["accepted"] == final["processed"] > 1000
    assert final["abandoned"] == 0
    assert final["rejected"] + final["accepted"] == 4000


def test_without_draining_the_queue_is_abandoned_and_counted() -> None:
    simulated = simulate(5, flood([0.0] * 50, range(50)), settings_of(5), enough=0)
    assert simulated.final["abandoned"] + simulated.final["processed"] == 50


def test_a_full_queue_is_places_divided_by_rate() -> None:
    simulated = overfilled(725)
    assert simulated.accepted == 725 + 16  # the workers were there before the first request
    assert max(simulated.recording.delays_s) == pytest.approx(0.5, rel=0.03)


def test_a_stage_answers_gets_too() -> None:
    seen = []

    async def drive(stage: Stage) -> None:
        await stage.post("alice", 5)
        await stage.idle()
        seen.append((await stage.get("/balances/alice")).body)

    simulate(7, drive, settings_of(7))
    assert seen == [b'{"user":"alice","balance":5}']


@pytest.mark.parametrize("read_share", [0.0, 0.99])
def test_a_reader_writer_lock_helps_readers_and_nobody_else(read_share: float) -> None:
    gain = mixed("rwlock", read_share).per_s / mixed("mutex", read_share).per_s
    assert gain == pytest.approx(1.0, abs=0.01) if not read_share else gain > 2


def test_a_job_weighs_hundreds_of_bytes_however_many_there_are() -> None:
    small, large = bytes_per_job(500), bytes_per_job(2000)
    assert 200 < small < 2000
    assert large == pytest.approx(small, rel=0.2)


def test_the_model_of_a_simulation_is_that_of_a_server() -> None:
    simulated = simulate_flood(7, BURST, 0.1, {})
    stats = simulated.final | {"config": simulated.settings.in_force()}
    model = Model.of(stats)
    assert model is not None
    assert model.rate_per_s == pytest.approx(100.0)
