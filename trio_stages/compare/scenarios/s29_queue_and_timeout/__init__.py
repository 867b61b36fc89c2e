"""S29: an item arrives as the timeout of whoever waits for it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Trial

ITEMS = 500


def run(trial: Trial) -> dict[str, Metric]:
    """Timeouts that race with items, one by one; at the end, what has arrived."""
    got: list[int] = []

    def main() -> None:
        got.append(trial.code.main(trial.core, ITEMS))

    trial.run(main, lambda client: None, required=False)
    return {"put": ITEMS, "items_lost": ITEMS - got[0] if got else ITEMS}


SCENARIO = Scenario(
    id="S29",
    module=__name__,
    title="A job arrives in the moment of the timeout",
    done=(
        f"A worker waits for its next job with a timeout; {ITEMS} times a job is put into the "
        "queue in the very turn of the loop in which the timeout comes (`items_lost`: jobs that "
        "the worker neither gets nor finds in the queue)."
    ),
    why="An idle worker that looks up now and then must not drop what arrives just then.",
    label=Label.SAME,
    links=(
        Link(
            "gh-86296: wait_for and its races",
            "https://github.com/python/cpython/issues/86296",
        ),
        Link(
            "asyncio: Queue.get",
            "https://docs.python.org/3/library/asyncio-queue.html#asyncio.Queue.get",
        ),
    ),
    shown="{items_lost} of {put} lost",
    wanted=facts(items_lost=0),
    expected=(expect("trio modern classic hardened anyio", items_lost=0),),
    run=run,
    note="An old reputation of `wait_for(queue.get())`; it did not reproduce on any version here.",
)
