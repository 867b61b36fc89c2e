"""S11: Ctrl-C between two lines that belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.results import MARK
from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Client, Trial

# How long the second line waits for an interrupt that comes between the two.
HOLD_S = 0.3


class Pair:
    """Two figures that are equal whenever somebody else can look."""

    def __init__(self, trial: Trial) -> None:
        self.total = 0
        self.of_user = 0
        self._recorder = trial.core.recorder

    def add(self, amount: int) -> None:
        """Change both, without an await between."""
        self.total += amount
        self._recorder.mark("task: pair", "half done")
        self._recorder.wait(MARK, "never", timeout_s=HOLD_S)
        self.of_user += amount
        self._recorder.mark("task: pair", "done")


def run(trial: Trial) -> dict[str, Metric]:
    """Ctrl-C in the middle of a step that has no await in it."""
    pair = Pair(trial)

    def script(client: Client) -> None:
        client.until(MARK, "task: pair", "half done")
        client.interrupt()

    trial.run(lambda: trial.code.main(trial.core, pair), script)
    return {"torn": int(pair.total != pair.of_user)}


SCENARIO = Scenario(
    id="S11",
    module=__name__,
    title="Ctrl-C between two lines without an await, by default",
    done=(
        "A task changes two figures that have to agree, in two lines without an await between. "
        "Ctrl-C comes after the first (`torn`: the second never happened). The program has no "
        "handler of its own."
    ),
    why=(
        "Code without an await between is what both libraries let us treat as atomic. With Ctrl-C "
        "it may not be, and a server is stopped by hand a hundred times a day while it is written."
    ),
    label=Label.ASYNCIO_BETTER,
    links=(
        Link(
            "asyncio: Runner and keyboard interruption (3.11)",
            "https://docs.python.org/3/library/asyncio-runner.html#handling-keyboard-interruption",
        ),
        Link(
            "Trio: run, restrict_keyboard_interrupt_to_checkpoints",
            "https://trio.readthedocs.io/en/stable/reference-core.html#trio.run",
        ),
    ),
    shown="torn: {torn}; exit status {exit_status}",
    wanted=facts(torn=0),
    expected=(
        expect("trio", torn=1, raised="KeyboardInterrupt", exit_status=1),
        expect("modern hardened anyio", torn=0, raised="KeyboardInterrupt", exit_status=130),
        expect("classic", torn=1, raised="KeyboardInterrupt", exit_status=130),
    ),
    run=run,
    note=(
        "`asyncio.run` turns Ctrl-C into a cancellation of the main task since 3.11; "
        "`run_until_complete`, as classic code has it, does not. Trio lets Ctrl-C interrupt any "
        "line, so that a loop without checkpoints can be stopped; one argument changes that "
        "(S11b). Out of a nursery it comes in an exception group: exit status 1 and a traceback, "
        "not 130."
    ),
)
