"""The histogram: exact counts, a bounded error, and no update lost between threads."""

from __future__ import annotations

import math
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trio_stages.histogram import (
    HIGHEST,
    LOWEST,
    Histogram,
    HistogramStatistics,
)

SHORTEST_S, LONGEST_S = 2.0**LOWEST, 2.0**HIGHEST
durations = st.floats(min_value=SHORTEST_S, max_value=LONGEST_S, exclude_max=True)


def filled(*seconds: float) -> Histogram:
    histogram = Histogram()
    for duration in seconds:
        histogram.record(duration)
    return histogram


def nearest_rank(data: list[float], q: float) -> float:
    return sorted(data)[max(1, math.ceil(q * len(data))) - 1]


@given(st.lists(durations, min_size=1, max_size=100), st.floats(0, 1))
@example([1.0], 0.5)
@example([math.nextafter(1.0, 0), 1.0, 2.0], 0.0)
@example([math.nextafter(1 + 1 / 32, 0), 9.0], 0.5)  # the far ends of the relatively widest bucket
@example([1.0, 9.0], 0.5)
@example([SHORTEST_S, 9.0], 0.5)
@example([math.nextafter(LONGEST_S, 0), LONGEST_S * 2], 0.5)
def test_a_quantile_is_off_by_at_most_one_64th(data: list[float], q: float) -> None:
    true = nearest_rank(data, q)
    assert abs(filled(*data).quantile(q) - true) <= true / 64


@given(st.lists(durations | st.floats(0, SHORTEST_S), max_size=50))
def test_count_total_and_max_are_those_of_the_data(data: list[float]) -> None:
    histogram = filled(*data)
    assert histogram.count == len(data)
    assert histogram.total == pytest.approx(math.fsum(data), rel=1e-12)
    assert histogram.max == max(data, default=0.0)


@given(st.lists(durations, min_size=1, max_size=50))
def test_the_statistics_are_the_quantiles(data: list[float]) -> None:
    histogram = filled(*data)
    assert histogram.statistics() == HistogramStatistics(
        count=len(data),
        total=histogram.total,
        max=max(data),
        p50=histogram.quantile(0.5),
        p99=histogram.quantile(0.99),
    )


@given(st.lists(durations | st.sampled_from([2.0**power for power in range(-4, 5)]), max_size=50))
@example([math.nextafter(0.25, 0), 0.25, math.nextafter(0.25, 1)])
@example([0.0, LONGEST_S, LONGEST_S * 3])
def test_how_many_were_shorter_than_a_power_of_two_is_exact(data: list[float]) -> None:
    powers = range(LOWEST, HIGHEST + 1)
    up_to, count, total = filled(*data).cumulative(powers)
    assert up_to == [sum(duration < 2.0**power for duration in data) for power in powers]
    assert count == len(data)
    assert total == pytest.approx(sum(data))


def test_an_empty_histogram_is_all_zeros() -> None:
    assert filled().statistics() == HistogramStatistics(0, 0.0, 0.0, 0.0, 0.0)
    assert filled().quantile(1) == 0.0


def test_no_time_at_all_is_read_as_exactly_none() -> None:
    histogram = filled(0.0, 0.0, math.nextafter(SHORTEST_S, 0), 8.0)
    assert histogram.quantile(0.75) == 0.0
    assert histogram.quantile(1) == 8.0


def test_what_is_longer_than_48_days_is_counted_as_the_longest() -> None:
    histogram = filled(1.0, LONGEST_S, LONGEST_S * 3)
    assert histogram.count == 3
    assert histogram.quantile(0.5) == histogram.max == LONGEST_S * 3


def test_no_quantile_exceeds_the_longest() -> None:
    assert filled(1.0).quantile(0.99) == 1.0  # the middle of its bucket is above it


@pytest.mark.parametrize("seconds", [-1e-9, -1.0, math.inf, -math.inf, math.nan])
def test_what_is_not_a_duration_is_not_counted(seconds: float) -> None:
    histogram = filled(1.0)
    with pytest.raises(ValueError, match="is not a duration"):
        histogram.record(seconds)
    assert histogram.statistics() == filled(1.0).statistics()


@pytest.mark.parametrize("q", [-0.01, 1.01, 50, math.nan])
def test_a_quantile_is_asked_for_by_a_fraction(q: float) -> None:
    with pytest.raises(ValueError, match="fraction"):
        filled(1.0).quantile(q)


def test_memory_does_not_grow_with_what_is_recorded() -> None:
    tracemalloc.start()
    try:
        histogram = Histogram()
        for number in range(20_000):
            histogram.record(1e-9 * 1.002**number % 1000)
        allocated_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert allocated_bytes < 100_000


class LetsOthersIn(float):
    """Gives up the GIL in the middle of being added to a total."""

    def __radd__(self, other: float) -> float:
        time.sleep(0)
        return float(other) + float(self)


def test_no_record_is_lost_between_threads() -> None:
    histogram = Histogram()
    threads, records = 8, 100

    def record(_: int) -> None:
        for _ in range(records):
            histogram.record(LetsOthersIn(1.0))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(record, range(threads)))
    assert histogram.count == threads * records
    assert histogram.total == threads * records
