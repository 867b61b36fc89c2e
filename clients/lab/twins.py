"""The same load over sockets and in virtual time, and the model beside both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from clients.arrivals import schedule_s, users_of

from .results import Comparison
from .simulate import Simulated, flood, settings_of, simulate
from .verdicts import agrees, known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clients.loads import Load
    from clients.prediction import Model

    from .bench import Bench, Flooded
    from .results import Verdict

REAL, VIRTUAL = 0.10, 0.01
"""How far the model may be off: over sockets, where a machine is in the way, and without one."""
JOBS = 5.0
"""The same for what is accepted, of which queue and workers are most: ten per cent of these would
hide whether anything was worked off at all."""


class Twins(NamedTuple):
    """Two runs of one load; the simulation sends it in as many seconds as the sockets took."""

    real: Flooded
    virtual: Simulated

    @property
    def model(self) -> Model:
        """Of both."""
        return self.real.model

    @property
    def virtual_predicted(self) -> float:
        """Accepted in virtual time, by the model."""
        return self.model.accepted(self.real.result.load.requests, self.virtual.flood_s)

    def comparisons(
        self,
        *,
        document: dict[str, Any] | None = None,
        original: dict[str, Any] | None = None,
    ) -> tuple[Comparison, ...]:
        """Accepted, refused, jobs/s, requests/s and latency of both.

        Args:
            document: its figures by these names: accepted, rejected, jobs_per_s, requests_per_s,
                latency_ms, duration_s.
            original: the Rust original's by the same names.
        """
        real, virtual = self.real, self.virtual
        document, original = document or {}, original or {}
        latency = real.result.latency()

        def row(name: str, quantity: str, **figures: Any) -> Comparison:
            return Comparison(
                quantity=quantity,
                document=document.get(name),
                original=original.get(name),
                **figures,
            )

        return (
            row(
                "duration_s",
                "the flood lasted",
                unit="s",
                measured=known(real.result.duration_s),
                digits=2,
                note="what is accepted depends on it",
            ),
            row(
                "accepted",
                "accepted",
                measured=real.result.accepted,
                virtual=virtual.accepted,
                model=known(real.predicted_accepted),
            ),
            row(
                "rejected",
                "refused",
                measured=real.result.rejected,
                virtual=virtual.rejected,
                model=known(real.result.sent - real.predicted_accepted),
            ),
            row(
                "jobs_per_s",
                "jobs done, working off the backlog",
                unit="jobs/s",
                measured=known(real.drain_per_s),
                virtual=known(virtual.busy_per_s),
                model=known(self.model.rate_per_s),
                digits=1,
            ),
            row(
                "requests_per_s",
                "requests answered",
                unit="/s",
                measured=known(real.result.throughput_per_s),
            ),
            row(
                "latency_ms",
                "latency, mean",
                unit="ms",
                measured=known(latency.mean_s * 1000),
                digits=1,
            ),
        )

    def verdicts(self, stage: int) -> tuple[Verdict, ...]:
        """Whether the model predicted accepted and the rate, for both."""
        real, virtual, rate_per_s = self.real, self.virtual, self.model.rate_per_s
        return (
            agrees(
                f"The model predicts what stage {stage} accepts over sockets, within 5 jobs.",
                real.result.accepted,
                real.predicted_accepted,
                within=0.0,
                slack=JOBS,
            ),
            agrees(
                f"The model predicts stage {stage}'s jobs/s over sockets, within 10 %.",
                real.drain_per_s,
                rate_per_s,
                within=REAL,
                unit="jobs/s",
            ),
            agrees(
                f"The model predicts what stage {stage} accepts in virtual time, within 1 %.",
                virtual.accepted,
                self.virtual_predicted,
                within=VIRTUAL,
                slack=1.0,
            ),
            agrees(
                f"The model predicts stage {stage}'s jobs/s in virtual time, within 1 %.",
                virtual.busy_per_s,
                rate_per_s,
                within=VIRTUAL,
                unit="jobs/s",
            ),
        )


async def run_twins(
    bench: Bench,
    stage: int,
    load: Load,
    options: Sequence[str] = (),
    overrides: dict[str, Any] | None = None,
    *,
    settle_s: float = float("inf"),
) -> Twins:
    """Measure a stage under a load, then simulate the same in the time that it took.

    Args:
        bench: of the experiment.
        stage: its number, 5 or higher.
        load: what to send.
        options: of the server.
        overrides: the same as settings of the simulation.
        settle_s: see ``Bench.flood``.
    """
    real = await bench.flood(stage, load, options, settle_s=settle_s)
    (virtual,) = await bench.compute(
        simulate_flood, [(stage, load, real.result.duration_s, overrides or {})]
    )
    return Twins(real, virtual)


def simulate_flood(
    stage: int,
    load: Load,
    duration_s: float,
    overrides: dict[str, Any],
    bunch: int = 1,
    enough: float = float("inf"),
) -> Simulated:
    """A load in virtual time: its requests at even intervals, over so many seconds.

    Args:
        stage: its number.
        load: what to send.
        duration_s: of the flood.
        overrides: settings of the stage.
        bunch: so many requests come at a time, which is as quick again to compute.
        enough: see ``simulate``.
    """
    even = schedule_s("constant", load.requests, load.requests / duration_s)
    times_s = [even[number // bunch * bunch] for number in range(load.requests)]
    users = users_of(load.requests, load.users, load.skew, load.seed)
    return simulate(stage, flood(times_s, users), settings_of(stage, **overrides), enough=enough)
