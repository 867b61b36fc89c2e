"""S7b: the same in a loop."""

from __future__ import annotations

from trio_stages.compare.scenario import Label, Link, Scenario, expect
from trio_stages.compare.scenarios.s07_swallowed_cancellation import run

SCENARIO = Scenario(
    id="S7b",
    module=__name__,
    title="Code that swallows every cancellation, in a loop",
    done="As S7, but the code that swallows is a `while True` that begins again.",
    why="Neither library can end code that refuses to end. It is a bug, and linters find it.",
    label=Label.SAME,
    links=(
        Link(
            "flake8-async: ASYNC103",
            "https://flake8-async.readthedocs.io/en/latest/rules.html",
        ),
    ),
    shown="ended",
    wanted={},
    expected=(expect("trio anyio modern classic hardened", outcome="HANG"),),
    run=run,
    limit_s=2.0,
    note="Trio and anyio spin at full speed meanwhile; asyncio sleeps.",
)
