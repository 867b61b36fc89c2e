"""S12: two nested groups of tasks fail in the same moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Trial


class Failed(Exception):
    """A task of the inner or the outer group."""


def run(trial: Trial) -> dict[str, Metric]:
    """Both groups fail; what comes behind the inner one should have been cancelled."""

    def main() -> None:
        trial.code.main(trial.core, Failed)

    trial.run(main, lambda client: None, required=False)
    return {}


SCENARIO = Scenario(
    id="S12",
    module=__name__,
    title="Two nested groups fail in the same moment",
    done=(
        "The connections' group is nested in the workers'. A task of each fails in one turn of the "
        "event loop. The caller has an answer to the inner failure, and then waits for something "
        "that will never come, in the outer group that has failed too."
    ),
    why=(
        "One cause, a lost database, often fails tasks on several levels at once. If the outer "
        "group's cancellation is lost behind the inner one's, the server waits as if nothing were."
    ),
    label=Label.TRIO_BETTER,
    links=(
        Link(
            "gh-116720: a nested TaskGroup can swallow the cancellation of its parent",
            "https://github.com/python/cpython/issues/116720",
        ),
        Link(
            "Trio: nurseries",
            "https://trio.readthedocs.io/en/stable/reference-core.html#tasks-let-you-do-multiple-things-at-once",
        ),
    ),
    shown="raised: {raised}",
    wanted=facts(raised="Failed"),
    expected=(
        expect("trio anyio", raised="Failed"),
        expect("modern hardened", before=(3, 13), outcome="HANG", because="gh-116720"),
        expect("modern hardened", since=(3, 13), raised="Failed", because="gh-116720 is mended"),
    ),
    run=run,
    limit_s=2.5,
    columns=("trio", "modern", "hardened", "anyio"),
    note=(
        "`gather` has no counterpart of this nesting. The hardened shell knows no cure: it uses "
        "TaskGroups as they are."
    ),
)
