"""The order of a reader-writer lock, as pure decisions: every history keeps the three rules."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trio_stages.locks.turnstile import Ticket, Turnstile


class History:
    """A turnstile, and what the rules are checked by: who is here, in the order of arrival."""

    def __init__(self) -> None:
        self.turnstile = Turnstile()
        self.here: list[Ticket] = []
        self.let_in: list[Ticket] = []

    def arrive(self, *, writes: bool) -> Ticket:
        ticket = Ticket(writes, lambda: self.let_in.append(ticket))
        self.here.append(ticket)
        self.turnstile.arrive(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        self.here.remove(ticket)
        self.turnstile.leave(ticket)

    def check(self) -> None:
        inside = [ticket for ticket in self.here if ticket.inside]
        waiting = [ticket for ticket in self.here if not ticket.inside]
        # 1. Any number of readers, or one writer.
        assert len(inside) <= 1 or not any(ticket.writes for ticket in inside)
        # 2. Those inside came before those who wait.
        assert self.here == inside + waiting
        # 3. Whoever is next cannot be let in.
        if waiting:
            assert inside
            assert waiting[0].writes or inside[0].writes
        # and everybody was told so once
        assert len(set(self.let_in)) == len(self.let_in)
        assert all((ticket in self.let_in) is ticket.inside for ticket in self.here)


steps = st.one_of(
    st.tuples(st.just("arrive"), st.integers(0, 1)), st.tuples(st.just("leave"), st.integers(0, 9))
)


@given(st.lists(steps, max_size=60))
def test_every_history_keeps_the_rules(history_steps: list[tuple[str, int]]) -> None:
    history = History()
    for step, choice in history_steps:
        if step == "arrive":
            history.arrive(writes=bool(choice))
        elif history.here:  # from the inside or out of the queue, whoever it is
            history.leave(history.here[choice % len(history.here)])
        history.check()
    for ticket in list(history.here):
        history.leave(ticket)
        history.check()
    assert history.arrive(writes=True).inside


def test_readers_next_to_each_other_enter_together_but_not_past_a_writer() -> None:
    history = History()
    first = history.arrive(writes=True)
    together = [history.arrive(writes=False), history.arrive(writes=False)]
    second = history.arrive(writes=True)
    late = history.arrive(writes=False)
    history.leave(first)
    assert history.let_in == [first, *together]
    for ticket in together:
        history.leave(ticket)
    assert history.let_in == [first, *together, second]
    history.leave(second)
    assert history.let_in == [first, *together, second, late]


def test_a_writer_who_gives_up_lets_the_readers_behind_it_in() -> None:
    history = History()
    history.arrive(writes=False)
    writer = history.arrive(writes=True)
    reader = history.arrive(writes=False)
    assert not reader.inside
    history.leave(writer)
    assert reader.inside
