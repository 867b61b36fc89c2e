"""The ledger check and the model: figures by hand, and differences that must be found."""

from __future__ import annotations

import math
from typing import Any

import pytest

from clients import ledgercheck
from clients.drain import between_completions
from clients.flood import LoadResult, Outcome
from clients.loads import Load
from clients.prediction import Model
from clients.replies import Reply
from trio_stages.model import predicted_accepted, service_rate_per_s

LOAD = Load(requests=6, concurrency=1, users=2, amount=10)
YES = Reply(202, b"{}", False, None, None)
NO = Reply(503, b'{"status":"rejected"}', False, None, None)
# user0, user1, user0 …: user0 has 2 accepted and 1 unknown, user1 1 accepted and 2 refused.
RESULT = LoadResult(LOAD, 1.0, (YES, YES, YES, NO, Outcome.UNKNOWN, NO), (0.1,) * 6)
PARTS = ("accepted", "rejected", "invalid", "processed", "failed", "queued", "in_hand", "abandoned")
SUMS: dict[str, Any] = dict.fromkeys(PARTS, 0) | {
    "waiting": 0,
    "received": 0,
    "stage": 5,
    "capacity": 100,
    "workers": 1,
    "balances_total": 0,
    "processed_amount": 0,
}


@pytest.mark.parametrize("unknown", [0, 10])
def test_unknown_event_may_count_or_not(unknown: int) -> None:
    before = {"user0": 5, "bystander": 3}
    after = {"user0": 25 + unknown, "user1": 10, "bystander": 3}
    assert ledgercheck.check_balances(RESULT, before, after) == []


@pytest.mark.parametrize(
    ("after", "difference"),
    [
        ({"user0": 10, "user1": 10}, "user0: balance rose by 10, expected 20 to 30"),
        ({"user0": 40, "user1": 10}, "user0: balance rose by 40, expected 20 to 30"),
        ({"user0": 20, "user1": 20}, "user1: balance rose by 20, expected 10"),
        ({"user0": 20}, "user1: balance rose by 0, expected 10"),
        ({"user0": 20, "user1": 10, "x": 10}, "x: balance rose by 10, expected 0"),
    ],
)
def test_difference_is_found(after: dict[str, int], difference: str) -> None:
    assert ledgercheck.check_balances(RESULT, {}, after) == [difference]


@pytest.mark.parametrize(
    ("after", "differences"),
    [
        ({}, []),
        ({"user0": 30, "user1": 10}, []),
        ({"user0": 10, "user1": 20}, ["user1: balance rose by 20, expected 0 to 10"]),
        ({"user0": -10}, ["user0: balance rose by -10, expected 0 to 30"]),
        ({"x": 10}, ["x: balance rose by 10, expected 0"]),
    ],
)
def test_before_the_queue_is_drained_nobody_has_more_than_was_accepted(
    after: dict[str, int], differences: list[str]
) -> None:
    assert ledgercheck.check_balances(RESULT, {}, after, drained=False) == differences


def test_negative_amounts_have_intervals_too() -> None:
    load = Load(requests=2, concurrency=1, users=1, amount=-5)
    result = LoadResult(load, 1.0, (YES, Outcome.UNKNOWN), (0.1,) * 2)
    assert ledgercheck.check_balances(result, {}, {"user0": -10}) == []
    assert ledgercheck.check_balances(result, {}, {"user0": -15})


@pytest.mark.parametrize(
    ("balances", "processed", "fine"),
    [
        ({"user0": 20, "user1": 10}, 3, True),
        ({"user0": 30, "user1": 10}, 4, True),
        ({"user0": 30, "user1": 10}, 3, False),  # it never came, and another was applied twice
        ({"user0": 20, "user1": 10}, 4, False),  # it came, and was lost
    ],
)
def test_what_an_unknown_event_could_hide_shows_in_the_sum(
    balances: dict[str, int], processed: int, fine: bool
) -> None:
    assert ledgercheck.check_balances(RESULT, {}, balances) == []
    before: tuple[dict[str, int], dict[str, int]] = {"user0": 5}, {"processed": 7}
    after = balances | {"user0": balances["user0"] + 5}, {"processed": 7 + processed}
    assert (ledgercheck.check_total(10, before, after) == []) is fine


@pytest.mark.parametrize(("accepted", "rejected"), [(3, 2), (4, 2), (3, 3)])
def test_counters_agree(accepted: int, rejected: int) -> None:
    before = {"accepted": 7, "rejected": 1, "failed": 2}
    after = {"accepted": 7 + accepted, "rejected": 1 + rejected, "failed": 2}
    assert ledgercheck.check_counters(RESULT, before, after) == []


@pytest.mark.parametrize(("accepted", "rejected"), [(2, 2), (5, 2), (3, 1), (3, 4)])
def test_counters_differ(accepted: int, rejected: int) -> None:
    after = SUMS | {"accepted": accepted, "rejected": rejected}
    assert len(ledgercheck.check_counters(RESULT, SUMS, after)) == 1


def test_a_job_that_raised_is_a_difference_though_all_sums_add_up() -> None:
    before = SUMS | {"failed": 2, "received": 2, "accepted": 2}
    after = before | {"received": 7, "accepted": 5, "rejected": 2, "failed": 3, "processed": 2}
    assert ledgercheck.check_sums(after) == []
    assert ledgercheck.check_counters(RESULT, before, after) == [
        "failed: the server counted 1, expected 0"
    ]
    final = after | {"balances_total": 20, "processed_amount": 20}
    assert ledgercheck.check_final(final, 0) == ["final: failed 3, expected 0"]


def test_sums() -> None:
    fine = SUMS | {"received": 9, "accepted": 6, "rejected": 2, "invalid": 1}
    fine |= {"processed": 2, "failed": 1, "queued": 1, "in_hand": 1, "abandoned": 1}
    assert ledgercheck.check_sums(fine) == []
    assert ledgercheck.check_sums(fine | {"invalid": 2}) == [
        "received 9 is not accepted + rejected + invalid = 10"
    ]
    assert len(ledgercheck.check_sums(fine | {"abandoned": 0})) == 1
    assert ledgercheck.check_sums(fine | {"in_hand": 2, "queued": 0}) == [
        "in_hand 2 is more than workers 1"
    ]


@pytest.mark.parametrize(
    ("change", "exit_status", "differences"),
    [
        ({}, 0, 0),
        ({"received": 1, "accepted": 1, "abandoned": 1}, 3, 0),
        ({"received": 1, "accepted": 1, "abandoned": 1}, 0, 1),
        ({}, 3, 1),
        ({"balances_total": 10}, 0, 1),
        ({"received": 1}, 0, 1),
        ({"received": 1, "accepted": 1, "queued": 1}, 0, 1),
        ({"waiting": 1}, 0, 1),
    ],
)
def test_final_line(change: dict[str, int], exit_status: int, differences: int) -> None:
    assert len(ledgercheck.check_final(SUMS | change, exit_status)) == differences


@pytest.mark.parametrize(
    ("balances", "fine"),
    [
        (("17", "27", "37"), True),
        (("37", "17", "27"), True),
        (("17", "27", "27"), False),
        (("17", "27", "47"), False),
        (("17", "27", "null"), False),
    ],
)
def test_replied_balances_are_steps_each_once(balances: tuple[str, ...], fine: bool) -> None:
    replies = [
        Reply(200, f'{{"balance":{balance}}}'.encode(), False, None, None) for balance in balances
    ]
    load = Load(requests=3, concurrency=1, users=1)
    result = LoadResult(load, 1.0, replies, (0.1,) * 3)
    assert (ledgercheck.check_replied_balances(result, {"user0": 7}) == []) is fine


def test_drain_is_measured_between_completions_seen_with_jobs_queued() -> None:
    samples = [
        (0.0, 3, 9),  # the first reading: nobody knows since when
        (0.1, 3, 9),
        (0.2, 4, 8),
        (0.7, 8, 4),
        (1.0, 8, 4),
        (1.2, 10, 2),
        (1.9, 12, 0),  # nothing queued: the workers were idle
    ]
    jobs, span_s = between_completions(samples)
    assert jobs == 6
    assert span_s == pytest.approx(1.0)
    assert between_completions(samples[:3]) == (0, 0.0)
    assert between_completions([]) == (0, 0.0)


def test_model_has_the_documents_figures() -> None:
    rate_per_s = service_rate_per_s(16, 0.1, 0.01, one_lock=True)
    assert rate_per_s == pytest.approx(100)
    accepted = predicted_accepted(5000, 100, 16, rate_per_s, 0.35, 0.1, 0.01)
    assert accepted == pytest.approx(140)  # it measured 138
    assert service_rate_per_s(16, 0.1, 0.01, one_lock=False) == pytest.approx(145.45, abs=0.01)
    assert service_rate_per_s(16, 0.01, 0.001, one_lock=False) == pytest.approx(1454.5, abs=0.1)


def test_model_at_its_limits() -> None:
    assert predicted_accepted(50, 100, 1, 2.0, 0.1, 0.5, 0.0) == 50
    assert predicted_accepted(200, 100, 1, 2.0, 0.1, 0.5, 0.0) == 101  # none is finished yet
    assert service_rate_per_s(4, 0.0, 0.0, one_lock=True) == math.inf
    assert predicted_accepted(200, 100, 1, math.inf, 0.0, 0.0, 0.0) == 200


@pytest.mark.parametrize(
    ("stage", "config", "workers", "rate_per_s"),
    [
        (4, {"work_ms": 500.0}, 0, 2),
        (5, {"work_ms": 500.0, "overflow": "reject"}, 1, 2),
        (6, {"work_ms": 500.0}, 4, 8),
        (7, {"work_ms": 100.0, "hold_ms": 10.0, "state": "rwlock"}, 64, 100),
        (7, {"work_ms": 100.0, "hold_ms": 10.0, "state": "per-user"}, 16, 16 / 0.11),
        (8, {"work_ms": 10.0, "hold_ms": 1.0, "state": "sharded"}, 16, 16 / 0.011),
    ],
)
def test_model_reads_the_configuration(
    stage: int, config: dict[str, Any], workers: int, rate_per_s: float
) -> None:
    stats = {"stage": stage, "config": config, "capacity": 100, "workers": workers}
    model = Model.of(stats)
    assert model is not None
    assert model.rate_per_s == pytest.approx(rate_per_s)
    assert (model.accepted(10**6, 0.0) == 10**6) is (stage == 4)  # there nothing is refused


def test_nothing_is_refused_where_the_full_queue_waits_or_no_job_takes_time() -> None:
    stats: dict[str, Any] = {"stage": 5, "capacity": 100, "workers": 1}
    for config in ({"work_ms": 500.0, "overflow": "wait"}, {"work_ms": 0.0}):
        model = Model.of(stats | {"config": config})
        assert model is not None
        assert model.accepted(5000, 0.1) == 5000
        assert model.formula(5000, 0.1) == "all 5000: nothing is refused"
    assert Model.of({"stage": 3, "config": {}}) is None


def test_no_job_ends_before_its_time() -> None:
    config = {"work_ms": 100.0, "hold_ms": 10.0, "state": "mutex"}
    model = Model.of({"stage": 7, "config": config, "capacity": 100, "workers": 16})
    assert model is not None
    assert model.during_flood_per_s(0.35) == pytest.approx(24 / 0.35)
    assert model.during_flood_per_s(0.1) == model.during_flood_per_s(0.0) == 0
