"""``GET /metrics``: valid Prometheus text, and figures that are the ledger's.

Time stands still (``mock_clock``) where a real thread renders; what that costs has a file of its
own.
"""

from __future__ import annotations

import math
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from support import EVENT, Client, event, job, request, running, settings_of, stage_module
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_stages.metrics import BUCKET_POWERS, Metrics
from trio_stages.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support import Server

    from trio_stages.histogram import Histogram

WITH_METRICS = [9, 10]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

COUNTERS = {
    "trio_stages_events_received": "received",
    "trio_stages_events_accepted": "accepted",
    "trio_stages_events_rejected": "rejected",
    "trio_stages_events_invalid": "invalid",
    "trio_stages_jobs_processed": "processed",
    "trio_stages_jobs_failed": "failed",
    "trio_stages_jobs_abandoned": "abandoned",
    "trio_stages_http_errors": "http_errors",
    "trio_stages_connections_refused": "connections_refused",
}
GAUGES = {
    "trio_stages_stage": "stage",
    "trio_stages_queue_depth": "queued",
    "trio_stages_queue_capacity": "capacity",
    "trio_stages_jobs_in_hand": "in_hand",
    "trio_stages_events_waiting": "waiting",
    "trio_stages_workers": "workers",
    "trio_stages_connections": "connections",
    "trio_stages_draining": "draining",
}
HISTOGRAMS = {
    "trio_stages_queue_delay_seconds",
    "trio_stages_job_service_seconds",
    "trio_stages_lock_wait_seconds",
    "trio_stages_lock_hold_seconds",
    "trio_stages_event_loop_lag_seconds",
}


def families(text: str) -> dict[str, Metric]:
    """What Prometheus' own client reads in the text, by the family's name."""
    found = list(text_string_to_metric_families(text))
    assert len({family.name for family in found}) == len(found)
    return {family.name: family for family in found}


def value(family: Metric) -> float:
    """The only sample of a counter or a gauge."""
    (sample,) = family.samples
    return float(sample.value)


class Cells:
    """A histogram as Prometheus reads it."""

    def __init__(self, family: Metric) -> None:
        by_name: dict[str, list[Any]] = {}
        for sample in family.samples:
            by_name.setdefault(sample.name.removeprefix(family.name), []).append(sample)
        assert by_name.keys() == {"_bucket", "_count", "_sum"}
        self.bounds = [float(sample.labels["le"]) for sample in by_name["_bucket"]]
        self.counts = [sample.value for sample in by_name["_bucket"]]
        self.count: float = by_name["_count"][0].value
        self.sum: float = by_name["_sum"][0].value

    def check(self) -> None:
        """The buckets are in order and cumulative, and the last of them holds all."""
        assert all(lower < upper for lower, upper in pairwise(self.bounds))
        assert all(fewer <= more for fewer, more in pairwise(self.counts))
        assert self.bounds[-1] == math.inf
        assert self.counts[-1] == self.count


def metrics_of(**overrides: Any) -> Metrics:
    return Metrics(Telemetry(settings_of(9, **overrides)))


def rendered(metrics: Metrics) -> dict[str, Metric]:
    """The text of this moment, however fresh another one is."""
    registry = CollectorRegistry()
    registry.register(metrics)
    return families(generate_latest(registry).decode())


async def scrape(server: Server) -> dict[str, Metric]:
    """What the stage shows; its counters and gauges are those of ``/stats``."""
    async with await server.connect() as client:
        return await scrape_on(client, server)


async def scrape_on(client: Client, server: Server) -> dict[str, Metric]:
    reply = await client.get("/metrics")
    assert reply.status == 200
    found = families(reply.body.decode())
    stats = server.telemetry.stats()
    for name, key in (COUNTERS | GAUGES).items():
        assert value(found[name]) == stats[key], name
    return found


# The text


def test_the_text_is_what_prometheus_expects() -> None:
    """The rules of ``promtool check metrics``, and the contract's names."""
    found = rendered(metrics_of())
    assert found.keys() == COUNTERS.keys() | GAUGES.keys() | HISTOGRAMS
    for name, family in found.items():
        assert re.fullmatch(r"trio_stages(_[a-z]+)+", name)
        assert family.documentation.endswith(".")
        assert all(math.isfinite(sample.value) for sample in family.samples)
        if name in HISTOGRAMS:
            assert family.type == "histogram"
            Cells(family).check()
        else:
            assert family.type == ("counter" if name in COUNTERS else "gauge")
            suffix = "_total" if name in COUNTERS else ""
            assert [sample.name for sample in family.samples] == [name + suffix]
            # Reserved for the parts of others.
            assert not name.endswith(("_total", "_count", "_sum", "_bucket", "_info"))


def test_every_family_is_introduced_by_its_help_and_its_type() -> None:
    registry = CollectorRegistry()
    registry.register(metrics_of())
    text = generate_latest(registry).decode()
    assert text.endswith("\n")
    introduced = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            introduced = line.split(" ")[2]
        elif line.startswith("# TYPE "):
            assert line.split(" ")[2] == introduced
        else:
            assert line.startswith(introduced)


@pytest.mark.parametrize("stage", WITH_METRICS)
async def test_the_reply(stage: int, mock_clock: MockClock) -> None:
    async with running(stage) as server, await server.connect() as client:
        got = await client.get("/metrics")
        await client.send(request("HEAD", "/metrics", b""))
        head = await client.response(head=True)
        await client.send(request("POST", "/metrics"))
        posted = await client.response()
        assert (await client.post()).status == 202  # and the connection lives on
    assert (got.status, head.status) == (200, 200)
    assert got.headers["content-type"] == head.headers["content-type"] == CONTENT_TYPE
    assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.body))
    assert value(families(got.body.decode())["trio_stages_stage"]) == stage
    assert (posted.status, posted.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("stage", range(3, 9))
async def test_before_stage_9_there_is_none(stage: int, autojump_clock: MockClock) -> None:
    async with running(stage) as server, await server.connect() as client:
        assert (await client.get("/metrics")).status == 404


# The figures


async def pass_time(clock: MockClock, seconds: float, *, step_s: float = 0.25) -> None:
    """Let virtual time go by in steps; at each of them whoever is due runs."""
    for _ in range(round(seconds / step_s)):
        clock.jump(step_s)
        await wait_all_tasks_blocked()


@pytest.mark.parametrize("stage", WITH_METRICS)
async def test_the_figures_are_those_of_the_ledger(stage: int, mock_clock: MockClock) -> None:
    """Two workers, three places; jobs of 0.25 s, and as long again under one lock."""
    settings: dict[str, Any] = {
        "workers": 2,
        "capacity": 3,
        "work_ms": 250,
        "hold_ms": 250,
        "state": "mutex",
    }
    async with running(stage, **settings) as server:
        await wait_all_tasks_blocked()
        async with await server.connect() as client:
            statuses = [(await client.post(event("alice", 10))).status for _ in range(8)]
            statuses += [(await client.post(b"{}")).status for _ in range(2)]
            statuses.append((await client.get("/nowhere")).status)
            statuses.append((await client.get("/health")).status)
        assert statuses == [202] * 5 + [503] * 3 + [400] * 2 + [404, 200]
        await wait_all_tasks_blocked()

        found = await scrape(server)
        by_name = {name: value(found["trio_stages_" + name]) for name in (
            "events_received", "events_accepted", "events_rejected", "events_invalid",
            "http_errors", "queue_depth", "jobs_in_hand", "jobs_processed", "connections",
        )}  # fmt: skip
        assert list(by_name.values()) == [10, 5, 3, 2, 1, 3, 2, 0, 1]
        assert Cells(found["trio_stages_queue_delay_seconds"]).count == 2
        assert Cells(found["trio_stages_job_service_seconds"]).count == 0

        await pass_time(mock_clock, 3)
        found = await scrape(server)
        assert value(found["trio_stages_jobs_processed"]) == 5
        cells = {name: Cells(found[f"trio_stages_{name}_seconds"]) for name in (
            "queue_delay", "job_service", "lock_wait", "lock_hold",
        )}  # fmt: skip
        for each in cells.values():
            each.check()
            assert each.count == 5
        # A hold ends every 0.25 s from 0.5 s on: at 0.5, 0.75, … 1.5; whoever was first there has
        # work of its own before it stands in line again, 0.25 s after the other one has got in.
        assert cells["lock_hold"].sum == 5 * 0.25
        assert cells["lock_wait"].sum == 0.25
        assert cells["job_service"].sum == 5 * 0.5 + 0.25
        stats = server.telemetry.stats()
        assert cells["lock_wait"].sum * 1000 == stats["lock"]["wait_ms"]["total"]
        # Two at once, the others when the job before them ended: at 0.5, 0.75 and 1.0 s.
        assert cells["queue_delay"].sum == 0.5 + 0.75 + 1.0


async def test_what_waits_and_what_is_refused_shows_too(mock_clock: MockClock) -> None:
    settings: dict[str, Any] = {
        "workers": 1,
        "capacity": 1,
        "overflow": "wait",
        "max_connections": 5,
    }
    async with running(9, **settings) as server:
        await wait_all_tasks_blocked()
        clients = [await server.connect() for _ in range(4)]
        for client in clients:
            await client.send(request(body=EVENT))
            await wait_all_tasks_blocked()
        async with await server.connect() as scraper, await server.connect() as refused:
            await scraper.get("/health")
            assert (await refused.get("/stats")).status == 503
            found = await scrape_on(scraper, server)
        assert value(found["trio_stages_events_waiting"]) == 2
        assert value(found["trio_stages_connections"]) == 5
        assert value(found["trio_stages_connections_refused"]) == 1
        for client in clients:
            await client.aclose()


async def test_a_failed_job_is_timed_and_counted(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def apply(*_: object) -> int:
        raise ZeroDivisionError

    async with running(9, work_ms=250, hold_ms=0) as server:
        monkeypatch.setattr(type(server.telemetry.ledger), "apply", apply)
        assert (await server.post()).status == 202
        await wait_all_tasks_blocked()
        await pass_time(mock_clock, 1)
        found = await scrape(server)
        assert value(found["trio_stages_jobs_failed"]) == 1
        assert Cells(found["trio_stages_job_service_seconds"]).sum == 0.25


# Histograms


durations = st.floats(0, 1000) | st.sampled_from([0.0, 1e-9, 1e-5, 63.9, 64.1, 1e6, 1e9])


@given(st.lists(st.lists(durations, max_size=20), min_size=1, max_size=4))
@example([[0.3, 0.3], [], [5.0], [1e9, 0.0]])
def test_a_histogram_is_the_sum_of_its_cells(workers: list[list[float]]) -> None:
    metrics = metrics_of(workers=len(workers))
    for cell, recorded in zip(metrics.service, workers, strict=True):
        for duration in recorded:
            cell.record(duration)
    every = [duration for recorded in workers for duration in recorded]
    cells = Cells(rendered(metrics)["trio_stages_job_service_seconds"])
    cells.check()
    assert cells.bounds == [*(2.0**power for power in BUCKET_POWERS), math.inf]
    # Prometheus means "not above", a bucket here is "below". No clock comes upon a power of two by
    # chance, and neither do these durations.
    assert cells.counts == [sum(duration < bound for duration in every) for bound in cells.bounds]
    assert cells.count == len(every)
    assert cells.sum == pytest.approx(math.fsum(every))


def hammer(cell: Histogram, enough: threading.Event) -> int:
    """Record 1, 1/2, 1/4, … 1/128 s, of which any sum is exact, again and again; how often?"""
    rounds = 0
    while not enough.is_set() or not rounds:
        rounds += 1
        for power in range(8):
            cell.record(2.0**-power)
    return rounds


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval_s)


@pytest.mark.usefixtures("hasty_threads")
def test_no_job_is_lost_between_threads_and_a_reader_never_sees_less() -> None:
    workers, writers = 4, 8  # two to a cell: against the rule, and safe all the same
    metrics = metrics_of(workers=workers)
    enough = threading.Event()

    def read() -> Cells:
        return Cells(collected(metrics, "trio_stages_job_service_seconds"))

    with ThreadPoolExecutor(writers) as pool:
        futures = [
            pool.submit(hammer, metrics.service[number % workers], enough)
            for number in range(writers)
        ]
        seen = [read() for _ in range(20)]
        enough.set()
        rounds = sum(future.result() for future in futures)
    seen.append(read())
    for one, next_one in pairwise(seen):
        one.check()
        assert one.sum <= next_one.sum
        assert all(a <= b for a, b in zip(one.counts, next_one.counts, strict=True))
    end = seen[-1]
    assert end.count == rounds * 8
    assert end.sum == rounds * sum(2.0**-power for power in range(8))
    for power in range(8):  # 7 - power of the eight are shorter
        assert end.counts[end.bounds.index(2.0**-power)] == rounds * (7 - power)


def collected(metrics: Metrics, name: str) -> Metric:
    """One family without the text around it, which would keep a reader busy."""
    (family,) = (family for family in metrics.collect() if family.name == name)
    return family


def test_each_worker_records_in_a_cell_of_its_own() -> None:
    now_s = 100.0
    metrics = Metrics(telemetry := Telemetry(settings_of(9, workers=3), clock=lambda: now_s))
    for worker, jobs in enumerate((1, 0, 2)):
        for _ in range(jobs):
            mine = job()
            telemetry.ledger.accept(mine)
            now_s += 60  # in the queue
            telemetry.ledger.take(mine)
            now_s += 0.25
            metrics.served(worker, mine)
    assert [cell.count for cell in metrics.service] == [1, 0, 2]
    assert [cell.total for cell in metrics.service] == [0.25, 0, 0.5]


async def test_every_worker_of_a_stage_has_its_cell(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them are busy at once, so each does one job."""
    made = recorded_metrics(9, monkeypatch)
    async with running(9, workers=5, work_ms=250, hold_ms=0) as server:
        async with await server.connect() as client:
            for number in range(5):
                assert (await client.post(event(f"user{number}"))).status == 202
        await wait_all_tasks_blocked()
        await pass_time(mock_clock, 0.5)
        assert [cell.count for cell in made[0].service] == [1] * 5


def recorded_metrics(stage: int, monkeypatch: pytest.MonkeyPatch) -> list[Metrics]:
    """Whatever ``Metrics`` the stage makes from here on."""
    made: list[Metrics] = []

    def make(telemetry: Telemetry) -> Metrics:
        made.append(Metrics(telemetry))
        return made[-1]

    monkeypatch.setattr(stage_module(stage), "Metrics", make)
    return made
