"""Stage 8: a lock for each shard; how near it comes to what sixteen workers could do."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from clients.loads import LOADS
from clients.prediction import shares_of_shards
from trio_stages.options import default_shards
from trio_stages.queueing import closed_network

from . import published
from .pictures import lanes, queue_over_time, waits_and_holds
from .registry import Experiment, Findings
from .results import Comparison
from .twins import REAL, VIRTUAL, run_twins, simulate_flood
from .verdicts import agrees, figure, judge, known

if TYPE_CHECKING:
    from .bench import Bench

GROUP = "The document's tables: stage 8"


async def sharded(bench: Bench) -> Findings:
    """The document's flood at stage 8."""
    load, shards = LOADS[8], default_shards()
    twins = await run_twins(bench, 8, load)
    real, virtual, model = twins.real, twins.virtual, twins.model
    document, original = published.DOCUMENT_STAGE_8, published.ORIGINAL_STAGE_8
    network = closed_network(16, 0.010, 0.001, shares_of_shards(load.users, shards))
    possible_per_s = model.during_flood_per_s(real.result.duration_s)
    waits = real.recording.waits_s()
    both = {"over sockets": real.recording, "virtual time": virtual.recording}
    accepted, predicted = real.result.accepted, real.predicted_accepted
    starved = real.during_flood_per_s / possible_per_s if possible_per_s else math.nan
    (seventh,) = await bench.compute(
        simulate_flood, [(7, replace(LOADS[7], requests=load.requests), real.result.duration_s, {})]
    )
    return Findings(
        comparisons=(
            *twins.comparisons(
                document={
                    **document._asdict(),
                    "jobs_per_s": "500+, 1450 at most",
                    "duration_s": published.DOCUMENT_DURATION_S[8],
                },
                original={**original._asdict(), "jobs_per_s": 1312},
            ),
            Comparison(
                quantity="jobs done during the flood",
                unit="jobs/s",
                measured=known(real.during_flood_per_s),
                model=known(possible_per_s),
                note="what refusing costs the work: the event loop and the GIL are shared",
            ),
            Comparison(
                quantity="jobs done behind shards, with random holds",
                unit="jobs/s",
                model=known(network.rate_per_s),
                note=f"a closed network of {shards} locks, by mean value analysis",
            ),
            Comparison(
                quantity="wait for a shard's lock, mean",
                unit="ms",
                measured=known(fmean(waits) * 1000),
                virtual=known(fmean(virtual.recording.waits_s()) * 1000),
                model=known(network.wait_s * 1000),
                digits=2,
                note="the model's holds are random, ours are not",
            ),
        ),
        plots=(
            queue_over_time(
                both,
                1000,
                "Stage 8: the queue during 5000 requests, and after them",
                "The queue is ten times as long and drained ten times as fast as stage 7's.",
            ),
            waits_and_holds(
                both,
                "Stage 8: how long a shard's lock is waited for, and held",
                "Most find their shard's lock free.",
            ),
            lanes(
                real.recording,
                0.010,
                "Stage 8 over sockets: sixteen threads and a lock for each shard",
                "Holds overlap: different shards, different locks.",
                length_s=0.1,
            ),
            lanes(
                virtual.recording,
                0.010,
                "Stage 8 in virtual time: the same without a machine",
                "The same with nothing in it but arithmetic.",
                length_s=0.1,
            ),
        ),
        verdicts=(
            agrees(
                "The model predicts what stage 8 accepts over sockets, within 10 %.",
                accepted,
                predicted,
                within=REAL,
            ),
            agrees(
                "The backlog is worked off at the model's rate over sockets, within 10 %.",
                real.drain_per_s,
                model.rate_per_s,
                within=REAL,
                unit="jobs/s",
            ),
            judge(
                "The flood does not starve the workers: they do 90 % of what they could.",
                starved >= 0.9,
                f"{figure(real.during_flood_per_s)} jobs/s during the flood of "
                f"{figure(real.result.throughput_per_s)} requests/s, {figure(possible_per_s)} "
                f"possible: {100 * starved:.0f} %",
                of=(starved,),
            ),
            agrees(
                "The model predicts what stage 8 accepts in virtual time, within 1 %.",
                virtual.accepted,
                twins.virtual_predicted,
                within=VIRTUAL,
            ),
            agrees(
                "The model predicts stage 8's jobs/s in virtual time, within 1 %.",
                virtual.busy_per_s,
                model.rate_per_s,
                within=VIRTUAL,
                unit="jobs/s",
            ),
            judge(
                "About 11 times as many are accepted as at stage 7 (9 to 13×), of as many requests "
                "in the same time.",
                9 <= virtual.accepted / seventh.accepted <= 13,
                f"{virtual.accepted} and {seventh.accepted} in virtual time: "
                f"{virtual.accepted / seventh.accepted:.1f}×; what bought it is the "
                "decomposition's question",
                "document",
            ),
        ),
    )


EXPERIMENTS = (
    Experiment(
        id="sharding",
        group=GROUP,
        stages=(8,),
        title="A lock for each shard",
        question="How near do sixteen workers come to 16 / 11 ms?",
        mode="both",
        run=sharded,
        command="python -m clients.stress 8 --spawn",
    ),
)
