"""The ledger against a model, through every order of moves that Hypothesis can think of."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support import broken_rules, job

from trio_stages.ledger import OUTSTANDING, Job, JobState, Ledger, LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable

NEW, WAITING, QUEUED, IN_HAND, PROCESSED, FAILED, ABANDONED, REJECTED = JobState

# What each move makes of a job in each state; whatever is not here is forbidden.
LEADS_TO: dict[str, dict[JobState, JobState]] = {
    "wait": {NEW: WAITING},
    "reject": {NEW: REJECTED, WAITING: REJECTED},
    "accept": {
        **{NEW: QUEUED, WAITING: QUEUED},
        # whoever comes second, after a worker, changes nothing
        **{state: state for state in (QUEUED, IN_HAND, PROCESSED, FAILED, ABANDONED)},
    },
    "accept_handed_over": {
        **{NEW: IN_HAND, WAITING: IN_HAND},
        **{state: state for state in (QUEUED, IN_HAND, PROCESSED, FAILED, ABANDONED)},
    },
    "take": {WAITING: IN_HAND, QUEUED: IN_HAND, IN_HAND: IN_HAND},
    "apply": {IN_HAND: PROCESSED},
    "fail": {QUEUED: FAILED, IN_HAND: FAILED},
    "abandon": dict.fromkeys((NEW, WAITING, QUEUED, IN_HAND), ABANDONED),
}


class EffectFailed(Exception):
    """The balances could not be changed."""


class LedgerMachine(RuleBasedStateMachine):
    """Every move on every job, allowed or not; after each of them the books are what they must be.

    The model: the state of each job, and the balances. All counters follow from these.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.ledger = Ledger(lambda: self.now_s)
        self.states: dict[Job, JobState] = {}
        self.at_once: Counter[str] = Counter()
        self.sealed = False
        self.balances: Counter[str] = Counter()
        self.applied: Counter[str] = Counter()

    @rule(user=st.sampled_from("abc"), amount=st.integers(-(2**63), 2**63 - 1))
    def arrive(self, user: str, amount: int) -> None:
        self.states[job(user, amount)] = NEW

    @rule(seconds=st.floats(0, 20))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(what=st.sampled_from(["invalid", "http_error", "processed_at_once"]))
    def answer_at_once(self, what: str) -> None:
        getattr(self.ledger, what)()
        self.at_once[what] += 1

    @precondition(lambda self: self.states)
    @rule(data=st.data(), name=st.sampled_from(sorted(LEADS_TO)))
    def move(self, data: st.DataObject, name: str) -> None:
        """Any move with any job, allowed or not."""
        self.make(name, data.draw(st.sampled_from(list(self.states))))

    @precondition(lambda self: self.moves_that_change_something())
    @rule(data=st.data())
    def move_on(self, data: st.DataObject) -> None:
        """Left to chance, most jobs would never get far."""
        self.make(*data.draw(st.sampled_from(self.moves_that_change_something())))

    def moves_that_change_something(self) -> list[tuple[str, Job]]:
        return [
            (name, job)
            for job, state in self.states.items()
            for name, leads_to in LEADS_TO.items()
            if leads_to.get(state, state) is not state
        ]

    def make(self, name: str, job: Job) -> None:
        allowed = LEADS_TO[name].get(self.states[job])
        if allowed is None or (name == "apply" and self.sealed):
            with pytest.raises(LedgerError):
                self.moves()[name](job)
            return
        self.moves()[name](job)
        self.states[job] = allowed
        if name == "apply":
            self.applied[job.event.user] += job.event.amount

    def moves(self) -> dict[str, Callable[[Job], object]]:
        ledger = self.ledger
        return {
            "wait": ledger.wait,
            "reject": ledger.reject,
            "accept": ledger.accept,
            "accept_handed_over": partial(ledger.accept, handed_over=True),
            "take": ledger.take,
            "apply": lambda job: ledger.apply(job, partial(self.effect, job)),
            "fail": ledger.fail,
            "abandon": ledger.abandon,
        }

    def effect(self, job: Job, amount: int) -> int:
        self.balances[job.event.user] += amount
        return self.balances[job.event.user]

    @precondition(lambda self: self.states)
    @rule(data=st.data())
    def apply_an_effect_that_fails(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(list(self.states)))

        def effect(amount: int) -> int:
            raise EffectFailed

        possible = self.states[job] is IN_HAND and not self.sealed
        with pytest.raises(EffectFailed if possible else LedgerError):
            self.ledger.apply(job, effect)

    @rule()
    def seal(self) -> None:
        given_up = [job for job, state in self.states.items() if state in OUTSTANDING]
        assert self.ledger.seal() == len(given_up)
        self.states |= dict.fromkeys(given_up, ABANDONED)
        self.sealed = True

    @invariant()
    def the_books_are_the_model(self) -> None:
        books = self.ledger.statistics()
        assert not broken_rules(books)
        assert {job: job.state for job in self.states} == self.states
        count = Counter(self.states.values())
        at_once = self.at_once["processed_at_once"]
        settled_or_outstanding = len(self.states) - count[NEW] - count[WAITING] - count[REJECTED]
        assert books.accepted == settled_or_outstanding + at_once
        assert books.rejected == count[REJECTED]
        assert books.invalid == self.at_once["invalid"]
        assert books.http_errors == self.at_once["http_error"]
        assert books.processed == count[PROCESSED] + at_once
        assert books.failed == count[FAILED]
        assert books.abandoned == count[ABANDONED]
        assert books.queued == self.ledger.queued == count[QUEUED]
        assert books.waiting == count[WAITING]
        assert books.in_hand == count[IN_HAND]

    @invariant()
    def effect_and_count_are_one(self) -> None:
        assert self.balances == self.applied
        assert self.ledger.statistics().processed_amount == sum(self.balances.values())

    @invariant()
    def the_rate_is_a_rate(self) -> None:
        rate_per_s = self.ledger.drain_rate_per_s()
        assert rate_per_s is None or rate_per_s > 0


TestLedger = LedgerMachine.TestCase
