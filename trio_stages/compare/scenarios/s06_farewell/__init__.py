"""S6: cleanup that waits, after a cancellation."""

from __future__ import annotations

from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

from .script import run

SCENARIO = Scenario(
    id="S6",
    module=__name__,
    title="A farewell sent while being cancelled, the obvious way",
    done=(
        "On its way out each connection sends a last reply, `shutting_down`, in a `finally` that "
        "awaits. One client reads it; another one has stopped reading long ago, and its buffers "
        "are full. Then SIGTERM."
    ),
    why=(
        "Protocols have goodbyes: a 503, a close frame, a rollback. One peer that is dead must not "
        "hold up the stop of the whole server."
    ),
    label=Label.TRADE_OFF,
    links=(
        Link(
            "Trio: cancellation semantics, and shields for cleanup",
            "https://trio.readthedocs.io/en/stable/reference-core.html#cancellation-semantics",
        ),
        Link(
            "asyncio: task cancellation",
            "https://docs.python.org/3/library/asyncio-task.html#task-cancellation",
        ),
        Link(
            "anyio #366: an await in a finally block is cancelled again",
            "https://github.com/agronholm/anyio/issues/366",
        ),
    ),
    shown="ended, {farewells} farewell",
    wanted=facts(farewells=1),
    expected=(
        expect("trio anyio", farewells=0),
        expect("modern classic", outcome="HANG", farewells=1),
        expect("hardened", farewells=1, because="it is cancelled again after a second"),
    ),
    run=run,
    limit_s=5.0,
    note=(
        "A cancelled Trio scope stays cancelled: what awaits in it is cancelled again, until a "
        "shield says how long it may take. An asyncio task is cancelled once: cleanup may await, "
        "for ever if need be. Each is a surprise to whoever knows the other; S6b is right in both."
    ),
)
