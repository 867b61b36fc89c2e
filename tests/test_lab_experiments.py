"""Some of the experiments themselves: what they are made of, and two from end to end."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from clients.catalogue import BODIES
from clients.garbage import probe
from clients.lab import burning, connections, controlled, gil, published, retries
from clients.lab.__main__ import run_lab
from clients.lab.bench import Bench, Processors
from clients.lab.factors import BASES
from clients.lab.hotkey import STATES, lock_shares
from clients.lab.registry import all_experiments, chosen
from clients.lab.retries import POLICIES, storm
from clients.loads import Load
from clients.prediction import shares_of_shards
from trio_stages.work import gil_enabled

if TYPE_CHECKING:
    from collections.abc import Hashable

    from clients.catalogue import Row
    from clients.garbage import Seen
    from clients.http import Target
    from clients.lab.bench import Flooded
    from clients.lab.results import ExperimentResult

pytestmark = pytest.mark.untraced


async def made(name: str) -> ExperimentResult:
    results = await run_lab(
        chosen(all_experiments(), [name]), quick=True, on_progress=lambda what, done, total: None
    )
    (result,) = results.experiments
    return result


async def test_an_experiment_over_sockets_and_in_virtual_time() -> None:
    """How fast a machine is decides over some of its claims, not over what is asserted here."""
    result = await made("sharding")
    assert result.error is None
    assert result.ledger == ()
    verdicts = {verdict.claim: verdict.holds for verdict in result.verdicts}
    assert len(verdicts) == len(result.verdicts)
    accepts, _ = [holds for claim, holds in verdicts.items() if "virtual time" in claim]
    assert accepts is True  # the rate needs a backlog, and so a machine that floods fast enough
    assert {plot.kind for plot in result.plots} == {"queue_over_time", "distribution", "lanes"}
    assert all(plot.series or plot.lanes for plot in result.plots)
    accepted = next(each for each in result.comparisons if each.quantity == "accepted")
    assert (accepted.document, accepted.original) == (1536, 1464)
    assert isinstance(accepted.measured, int)
    assert result.virtual_s > 0.5


async def test_an_experiment_in_virtual_time_alone() -> None:
    result = await made("plateau")
    assert result.error is None
    claims = {verdict.claim: verdict.holds for verdict in result.verdicts}
    assert claims["With 16 workers it plateaus at 10 to 12 jobs/s."] is False
    assert "91 ms" in result.notes[0]  # what it would take, and the document's stage 7 has not
    assert claims["The bound min(workers / 510 ms, 1 / 10 ms) holds within 1 %."] is True


@pytest.mark.parametrize(("times", "counted"), [(1, 3), (2, 4)])
async def test_the_neighbours_of_garbage_are_fine_only_if_every_event_is_counted_once(
    times: int, counted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send(target: Target, row: Row, stage: int, *, timeout_s: float) -> Seen:
        for _ in range(times - 1):
            await probe(target, row, stage, timeout_s=timeout_s)
        return await probe(target, row, stage, timeout_s=timeout_s)

    monkeypatch.setattr(connections, "CATALOGUE", BODIES[:2])  # a valid one, and an empty body
    monkeypatch.setattr(connections, "probe", send)
    findings = await connections.garbage(Bench(quick=True, processors=Processors()))
    whole, neighbour = findings.verdicts
    assert whole.holds
    assert neighbour.holds is (times == 1)
    assert neighbour.measured.endswith(f"200; the server counted {counted} events of 3")


@pytest.fixture
def short_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PEAK_FROM_S", 0.5)
    monkeypatch.setattr(retries, "PEAK_TO_S", 2.0)
    monkeypatch.setattr(retries, "END_S", 4.0)


@pytest.mark.usefixtures("short_peak")
def test_a_storm_and_its_cure() -> None:
    one, soon, told = (storm(policy) for policy in ("give up", "at once", "Retry-After + jitter"))
    assert one.events == soon.events == told.events > 300
    assert one.requests == one.events > one.delivered
    assert soon.delivered == told.delivered == told.events
    assert soon.requests > 1.5 * told.requests
    assert soon.recovered_s > 0
    assert sum(rate for _, rate in soon.per_s) * retries.BIN_S == pytest.approx(soon.requests)
    assert len(POLICIES) == 5


async def test_what_was_measured_before_is_not_measured_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(controlled, "LOAD", Load(requests=20, concurrency=2, rate_per_s=400))
    monkeypatch.setattr(controlled, "QUICK_SETTLE_S", 0.0)
    shared: dict[Hashable, Flooded] = {}
    one, two = (Bench(quick=True, processors=Processors(), shared=shared) for _ in range(2))
    settings = BASES["stage 8"] | {"users": 3}
    first = await controlled.measured(one, settings)
    assert await controlled.measured(two, dict(reversed(settings.items()))) is first
    assert first.result.load.users == 3
    assert (first.config["capacity"], first.config["state"]) == (1000, "sharded")
    assert first.result.accepted == 20
    assert len(shared) == 1
    assert not one.ledger + two.ledger


def test_the_original_s_stage_8_is_ours_but_for_the_place_of_the_hold() -> None:
    """So that one run serves the tables of three experiments."""
    ours = {tuple(sorted(settings.items())) for settings in BASES.values()}
    theirs = {tuple(sorted(controlled.settings_of(row).items())) for row in published.CONTROLLED}
    assert tuple(sorted(BASES["stage 8"].items())) in theirs
    assert len(ours) == 2


def test_the_shares_of_all_locks_add_up() -> None:
    for state in STATES:
        for skew in (0.0, 1.0, 3.0):
            assert math.fsum(lock_shares(state, skew)) == pytest.approx(1.0)
    assert max(lock_shares("sharded", 3.0)) > max(lock_shares("per-user", 3.0)) > 0.8
    assert math.fsum(shares_of_shards(100, 8)) == pytest.approx(1.0)
    assert len(shares_of_shards(100, 8)) == 8


def test_burning_runs_alone_in_any_interpreter() -> None:
    command = [sys.executable, "-I", str(gil.BURNING), "2", "4", "0.001"]
    said = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert 0 < said["jobs_per_s"] < 2 / 0.001 * 1.5
    assert said["gil"] is gil_enabled()
    assert burning.jobs_per_s(1, 2, 0.001) <= 1000
