"""``clients.pairs``: a ratio is one of a pair, and of a pair that was measured."""

from __future__ import annotations

import math
from dataclasses import replace

from clients.drain import Drain
from clients.flood import LoadResult, Outcome
from clients.loads import Load
from clients.pairs import Run, ratios, table
from clients.replies import Reply
from clients.report import Report

YES = Reply(202, b"{}", False, None, None)
RUN = Run(drain_per_s=100.0, requests_per_s=50.0, cpu_us_per_request=20.0, ledger_ok=True)
TWICE = Run(drain_per_s=200.0, requests_per_s=100.0, cpu_us_per_request=10.0, ledger_ok=True)
NO_BACKLOG = replace(RUN, drain_per_s=None)


def report(*replies: Reply | Outcome, drained: int = 0) -> Report:
    """A flood of two seconds, and the backlog behind it, at ten jobs per second."""
    load = Load(requests=len(replies), concurrency=1)
    return Report(
        stage=8,
        result=LoadResult(load, 2.0, replies, (0.1,) * len(replies)),
        differences=(),
        drain=Drain(1.0, drained, drained / 10, False, {}),
    )


def test_a_run_counts_what_was_answered() -> None:
    run = Run.of([report(YES, YES, Outcome.UNKNOWN, drained=5), report(YES, Outcome.UNSENT)], 3.0)
    assert run == Run(drain_per_s=10.0, requests_per_s=0.75, cpu_us_per_request=1e6, ledger_ok=True)


def test_a_run_has_no_figure_for_what_it_did_not_see() -> None:
    run = Run.of([report(Outcome.UNKNOWN)], 1.0)
    assert (run.drain_per_s, run.requests_per_s, run.cpu_us_per_request) == (None, 0.0, None)
    for used_s in (0.0, math.nan):
        assert Run.of([report(YES)], used_s).cpu_us_per_request is None


def test_a_pair_without_a_figure_is_left_out_and_the_others_count() -> None:
    a, b = [RUN, NO_BACKLOG, RUN, RUN], [TWICE, TWICE, NO_BACKLOG, RUN]
    assert ratios("drain_per_s", a, b) == [1.0, 2.0]
    assert ratios("requests_per_s", a, b) == [1.0, 1.0, 2.0, 2.0]
    drain, requests, cpu = table(("stage 8", "stage 9"), (a, b)).splitlines()[1:]
    assert " ".join(drain.split()) == (
        "drain_per_s 100.0 200.0 median 1.500 (1.000 to 2.000) 2 of 4 pairs"
    )
    assert requests.endswith("median 1.500 (1.000 to 2.000)")
    assert cpu.endswith("median 0.750 (0.500 to 1.000)")


def test_where_no_pair_has_a_figure_there_is_no_ratio() -> None:
    drain = table(("8", "9"), ([NO_BACKLOG], [TWICE])).splitlines()[1]
    assert drain.split() == ["drain_per_s", "-", "200.0", "0", "of", "1", "pairs"]
