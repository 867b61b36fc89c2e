"""S11b: S11, Trio told to wait for a checkpoint."""

from __future__ import annotations

from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts
from trio_stages.compare.scenarios.s11_ctrl_c_in_a_pair import run

SCENARIO = Scenario(
    id="S11b",
    module=__name__,
    title="Ctrl-C between two lines, and Trio is told that checkpoints are soon enough",
    done="As S11, with `trio.run(..., restrict_keyboard_interrupt_to_checkpoints=True)`.",
    why="One argument makes the two alike; a server that handles its signals needs neither.",
    label=Label.SAME,
    links=(
        Link(
            "Trio: run, restrict_keyboard_interrupt_to_checkpoints",
            "https://trio.readthedocs.io/en/stable/reference-core.html#trio.run",
        ),
    ),
    shown="torn: {torn}; exit status {exit_status}",
    wanted=facts(torn=0),
    expected=(
        expect("trio", torn=0, raised="KeyboardInterrupt", exit_status=1),
        expect("modern", torn=0, raised="KeyboardInterrupt", exit_status=130),
    ),
    run=run,
    columns=("trio", "modern"),
)
