"""The arithmetic of the 11×: shares that add up, whatever the order."""

from __future__ import annotations

import math
from itertools import combinations, permutations

import pytest

from clients.lab.decomposition import STEPS, fair_shares, settings_after, shares_in_order

ABC = ("a", "b", "c")


def subsets(steps: tuple[str, ...]) -> list[frozenset[str]]:
    return [
        frozenset(taken) for size in range(len(steps) + 1) for taken in combinations(steps, size)
    ]


# a doubles, b does nothing by itself and triples what a has done, c takes a tenth away
VALUES = {
    taken: 100 * (2 if "a" in taken else 1) * (3 if {"a", "b"} <= taken else 1)
    * (0.9 if "c" in taken else 1)
    for taken in subsets(ABC)
}  # fmt: skip


@pytest.mark.parametrize("order", list(permutations(ABC)))
def test_shares_add_up_and_factors_multiply_in_every_order(order: tuple[str, ...]) -> None:
    shares = shares_in_order(VALUES, order)
    assert math.fsum(share.percent for share in shares) == pytest.approx(100)
    assert math.prod(share.factor for share in shares) == pytest.approx(5.4)
    assert [share.step for share in shares] == list(order)
    assert shares[0].before == 100
    assert shares[-1].after == pytest.approx(540)


def test_an_interaction_goes_to_whoever_comes_later() -> None:
    first = {share.step: share.factor for share in shares_in_order(VALUES, ABC)}
    last = {share.step: share.factor for share in shares_in_order(VALUES, ABC[::-1])}
    assert first["a"] == pytest.approx(2)
    assert first["b"] == pytest.approx(3)
    assert last["b"] == pytest.approx(1)
    assert last["a"] == pytest.approx(6)


def test_the_fair_shares_are_the_mean_over_all_orders() -> None:
    fair = fair_shares(VALUES, ABC)
    assert math.fsum(fair.values()) == pytest.approx(100)
    orders = list(permutations(ABC))
    for step in ABC:
        each = [
            share.percent
            for order in orders
            for share in shares_in_order(VALUES, order)
            if share.step == step
        ]
        assert fair[step] == pytest.approx(sum(each) / len(orders))
    # a and b share the triple that they make together, and a has its double besides
    whole = math.log(5.4)
    assert fair["a"] == pytest.approx(100 * (math.log(2) + math.log(3) / 2) / whole)
    assert fair["b"] == pytest.approx(100 * math.log(3) / 2 / whole)


def test_nothing_gained_is_nothing_shared() -> None:
    same = dict.fromkeys(subsets(ABC), 7.0)
    assert set(fair_shares(same, ABC).values()) == {0.0}
    assert [share.percent for share in shares_in_order(same, ABC)] == [0.0, 0.0, 0.0]


def test_the_steps_lead_from_stage_7_to_stage_8() -> None:
    assert settings_after(frozenset())["capacity"] == 100
    last = settings_after(frozenset(STEPS))
    assert (last["capacity"], last["work_ms"], last["hold_ms"]) == (1000, 10.0, 1.0)
    assert (last["users"], last["state"]) == (100, "sharded")
    between = settings_after(frozenset({"users"}))
    assert (between["users"], between["state"]) == (20 * 5, "mutex")
