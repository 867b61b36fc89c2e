"""S6b: the same cleanup, with a limit."""

from __future__ import annotations

from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts
from trio_stages.compare.scenarios.s06_farewell.script import run

SCENARIO = Scenario(
    id="S6b",
    module=__name__,
    title="A farewell with a limit of a tenth of a second",
    done="As S6, but each connection gives its farewell a limit of 0.1 s, in the column's own way.",
    why="Whoever has met S6 writes this; both libraries have what it takes.",
    label=Label.SAME,
    links=(
        Link(
            "Trio: CancelScope.shield",
            "https://trio.readthedocs.io/en/stable/reference-core.html#trio.CancelScope.shield",
        ),
        Link(
            "asyncio: timeout",
            "https://docs.python.org/3/library/asyncio-task.html#asyncio.timeout",
        ),
    ),
    shown="ended, {farewells} farewell",
    wanted=facts(farewells=1),
    expected=(expect("trio anyio modern classic hardened", farewells=1),),
    run=run,
)
