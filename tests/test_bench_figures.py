"""The arithmetic of the bench: ratios pair by pair, verdicts, bends, whose time a line is."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import pytest

from clients.bench import figures, generate, headline_page, profile, scale, servers, sweeps, targets
from clients.bench.compare import Comparison, read
from clients.bench.comparison_page import page, tables
from clients.bench.figures import Spread
from clients.bench.generate import Sample
from clients.bench.headline import Close, Flood, Headline, Reading, Sustained, amid
from clients.bench.sweeps import Point, Sweep
from clients.http import ClientError

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = Sample(
    server="ours",
    load="keepalive-50",
    round=0,
    accepted=1000,
    accepted_per_s=1000.0,
    refused=0,
    errors=0,
    p50_ms=1.0,
    p99_ms=2.0,
    cpu_us=10.0,
    resident_mb=40.0,
)


def samples(server: str, *per_s: float, load: str = "keepalive-50") -> list[Sample]:
    """One sample a round; the CPU time of an event is what a full core allows."""
    return [
        replace(SAMPLE, server=server, load=load, round=n, accepted_per_s=x, cpu_us=1e6 / x)
        for n, x in enumerate(per_s)
    ]


def test_a_spread_is_the_median_and_its_bounds() -> None:
    assert Spread.of([3, 1, 2]) == Spread(2, 1, 3)
    assert Spread.of([]) is None
    assert Spread(1234.5, 1, 2000).text(1) == "1,234.5 (1.0 to 2,000.0)"


def test_ratios_are_taken_round_by_round() -> None:
    # The machine was twice as slow in the second round: neither side's median knows.
    found = figures.times(
        [*samples("ours", 100, 50, 90), *samples("a", 10, 5, 3)], "ours", "a", "keepalive-50"
    )
    assert found == Spread(10, 10, 30)


def test_cheaper_is_the_others_time_over_ours() -> None:
    both = [*samples("ours", 100, 100), *samples("a", 10, 50)]
    assert figures.cheaper(both, "ours", "a", "keepalive-50") == Spread(6, 2, 10)


def test_a_round_that_one_side_lacks_does_not_count() -> None:
    assert figures.ratio({0: 4.0, 1: 9.0}, {1: 3.0, 2: 1.0}) == Spread(3, 3, 3)
    assert figures.ratio({0: 4.0}, {0: 0.0}) is None
    nothing = replace(SAMPLE, accepted=0, accepted_per_s=0.0, cpu_us=None)
    assert figures.spread([nothing], "ours", "keepalive-50", "cpu_us") is None
    assert nothing.share_accepted is None


def test_verdicts_are_of_the_medians() -> None:
    found = [*samples("ours", 120, 120, 120), *samples("fastapi-h11", 9, 10, 40)]
    first = targets.verdicts(found)[0]
    assert first.holds
    assert first.measured == "12.00× (3.00 to 13.33)"
    found = [*samples("ours", 119), *samples("fastapi-h11", 10)]
    assert targets.verdicts(found)[0].holds is False
    assert all(verdict.holds is None for verdict in targets.verdicts([]))


def test_what_is_not_a_ratio_is_judged_too() -> None:
    at_200 = samples("ours", 100, load="keepalive-200")
    worse = replace(at_200[0], server="starlette", p99_ms=1.0)
    other = replace(at_200[0], server="protocol", p99_ms=0.1)  # no framework
    refusing = replace(at_200[0], refused=11)
    *_, varying, share, p99 = targets.verdicts([*at_200, worse, other])
    assert (varying.holds, share.holds, p99.holds) == (None, True, False)
    assert "Starlette" in p99.measured
    assert targets.verdicts([refusing])[-2].holds is False
    *_, varying, _, _ = targets.verdicts(
        [*samples("ours", 100), *samples("ours", 79, load="varying")]
    )
    assert varying.holds is False


def test_targets_are_of_servers_and_loads_that_exist() -> None:
    for target in targets.TARGETS:
        assert target.peer in servers.BY_NAME
        assert any(sample.load == target.load for sample in samples("ours", 1, load=target.load))


def comparison(*found: Sample) -> Comparison:
    return Comparison(stamp={"python": "3"}, seconds=1.0, samples=found, absent={})


def test_runs_are_joined_and_read_back(tmp_path: Path) -> None:
    first, second = comparison(*samples("ours", 1, 2)), comparison(*samples("ours", 3))
    joined = Comparison.joined([first, second])
    assert joined.rounds == "3"
    assert [sample.round for sample in joined.samples] == [0, 1, 2]
    file = tmp_path / "results.json"
    file.write_text(json.dumps(joined.to_json()), "utf-8")
    assert read(file) == joined
    also = comparison(*samples("ours", 4, load="close"))
    assert Comparison.joined([joined, also]).rounds == "1 to 3"
    file.write_text("{}", "utf-8")
    with pytest.raises(ClientError, match="no results"):
        read(file)
    with pytest.raises(ClientError, match="No such file"):
        read(tmp_path / "none")


def test_the_page_has_every_server_and_load() -> None:
    found = comparison(
        *samples("ours", 100), *samples("fastapi", 10), *samples("ours", 90, load="close")
    )
    first, second = tables(found)
    assert [row[0] for row in first.rows] == [servers.BY_NAME[n].title for n in ("ours", "fastapi")]
    assert first.rows[1][3] == "10.00×"
    assert len(second.rows) == 1
    text = page(found, plots=False).markdown()
    assert "A connection per request" in text
    assert "python -m uvicorn" in text
    bars = page(found).figures
    assert bars[0].alt.endswith("stage 8, jobs in tasks: 100")
    assert len(bars) == 2


def test_what_a_generator_prints_is_found_behind_the_summary_of_wrk() -> None:
    assert generate.parse('Running 1s test\n  1 threads\n{"replies": 3}\n') == {"replies": 3}
    assert generate.parse("unable to connect") is None


# The headline


def headline(*, per_s: float, kept: float, model: float = 1500.0) -> Headline:
    jobs = kept * headline_page.JOBS_PER_S
    flood = Flood(
        stage=8,
        requests_per_s=per_s,
        latency_ms=5,
        accepted=1500,
        model=model,
        jobs_per_s=jobs,
        ledger_ok=True,
    )
    sustained = Sustained(
        seconds=10, requests_per_s=9, refused_per_s=8, jobs_per_s=jobs, ledger_ok=True
    )
    return Headline(
        stamp={},
        floods=(replace(flood, stage=7), flood),
        closes=(Close(stage=7, requests_per_s=1, cpu_us=74.0),),
        sustained=(sustained,),
    )


def test_the_headline_is_judged_by_the_originals_figures() -> None:
    reached = headline_page.verdicts(headline(per_s=14_500, kept=0.95))
    assert [verdict.holds for verdict in reached] == [True] * 7
    missed = headline_page.verdicts(headline(per_s=14_000, kept=0.85, model=2000))
    assert [v.holds for v in missed] == [False, True, True, True, False, False, True]
    assert "2.00" in headline_page.tables(headline(per_s=1, kept=1))[1].rows[0][3]


def test_jobs_amid_a_flood_are_those_of_its_own_time() -> None:
    idle = [Reading(at_s=n, received=1, processed=1) for n in range(3)]  # the generator starts
    flood = [Reading(at_s=3 + n, received=5000 * n, processed=700 * n) for n in range(1, 5)]
    over = [Reading(at_s=8 + n, received=21_000, processed=4000 + 1400 * n) for n in range(3)]
    assert amid([*idle, *flood, *over]) == 700
    with pytest.raises(ClientError, match="too short"):
        amid([*idle, *over])


# Scale


def sweep(
    *values: float,
    better: Literal["low", "high"] = "low",
    model: dict[int, float] | None = None,
) -> Sweep:
    points = tuple(Point(at=10**n, figures={"f": value}) for n, value in enumerate(values))
    return Sweep(
        name="s",
        title="",
        unit="things",
        figure="f",
        better=better,
        points=points,
        model=model or {},
    )


@pytest.mark.parametrize(
    ("values", "bends_at"),
    [
        ((10, 10, 10), None),
        ((10, 12, 12.5), None),
        ((10, 12, 13), 100),
        ((10, 13, 14), 10),
        ((10, 13, 10), None),  # a bump is no bend
        ((20, 10, 10), None),  # nor is what becomes better
    ],
)
def test_where_a_cost_bends(values: tuple[float, ...], bends_at: int | None) -> None:
    assert sweep(*values).bends_at == bends_at


def test_a_rate_bends_away_from_its_model() -> None:
    model = {1: 10.0, 10: 100.0, 100: 1000.0}
    bent = sweep(9, 90, 300, better="high", model=model)
    assert bent.bends_at == 100
    assert bent.strain(bent.points[2]) == pytest.approx(10 / 3)
    assert "bent from 100 on, 3.3 times worse" in scale.sentence(bent)
    assert "at 100 things, 100% of the way" in scale.bends_first([bent, sweep(1, 1, 1)])
    assert "Nothing bends" in scale.bends_first([sweep(1, 1)])


def test_the_model_of_a_rate_knows_the_hottest_shard() -> None:
    assert sweeps.modelled_per_s(16, 8) == pytest.approx(16 / 0.011)
    assert sweeps.modelled_per_s(256, 1) == pytest.approx(1 / 0.001)  # one lock for all
    assert sweeps.modelled_per_s(256, 8) == pytest.approx(1 / (0.001 * 0.13))  # 13 of 100 users
    assert sweeps.modelled_per_s(256, 1024) == pytest.approx(256 / 0.011)


async def test_workers_and_shards_are_held_against_that_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def drain_rate(jobs: int, *options: str) -> float:
        return 900.0

    monkeypatch.setattr(sweeps, "_drain_rate", drain_rate)
    monkeypatch.setattr(sweeps, "default_shards", lambda: 8)
    found = await sweeps.workers((256,), "task", lambda what, done, total: None)
    assert found.strain(found.points[0]) == pytest.approx(1 / (0.001 * 0.13) / 900)
    found = await sweeps.shards((1, 1024), lambda what, done, total: None)
    assert [found.strain(point) for point in found.points] == pytest.approx([1000 / 900, 16 / 9.9])
    assert "the hottest shard's lock" in scale.page([found], {}, plots=False).markdown()


def test_sweeps_are_read_back(tmp_path: Path) -> None:
    bent = sweep(9, 90, 300, better="high", model={1: 10.0, 10: 100.0, 100: 1000.0})
    file = tmp_path / "results.json"
    file.write_text(json.dumps({"stamp": {}, "sweeps": [dataclasses.asdict(bent)]}), "utf-8")
    assert scale.read(file) == ({}, [bent])
    page = scale.page([bent], {}, plots=False).markdown()
    assert "bent from 100 on" in page
    weighed = replace(sweep(5, 5), memory="g")
    weighed.points[1].figures["g"] = 7.0  # where there was too little to weigh, there is no figure
    drawn = scale.page([bent, sweep(5, 6), weighed], {})
    assert [figure.svg.count("<svg") for figure in drawn.figures] == [1, 1, 1]
    assert not any("mathdefault" in figure.svg for figure in drawn.figures)  # TeX, not a number
    assert "10: 5.0 f, 7.0 g" in drawn.figures[2].alt
    file.write_text("[]", "utf-8")
    with pytest.raises(ClientError, match="no results"):
        scale.read(file)


def test_a_sentence_says_from_where_on_it_is_straight() -> None:
    late = sweep(5, 10, 10, better="high")
    assert "from 10 on no longer more than 1.25 times worse" in scale.sentence(late)
    assert "nowhere more than" in scale.sentence(sweep(10, 10))


# Profile


@pytest.mark.parametrize(
    ("file", "line", "owner"),
    [
        (
            "/v/site-packages/trio/_core/_run.py",
            "events = self._epoll.poll(timeout, max_events)",
            "the kernel: sockets and epoll",
        ),
        ("/v/site-packages/trio/_core/_run.py", "task.coro.send(None)  # not a socket", "trio"),
        (
            "/v/site-packages/trio/_socket.py",
            "return fn(self._sock, *args, **kwargs)",
            "the kernel: sockets and epoll",
        ),
        ("/v/site-packages/trio/_socket.py", "await wait_fn(self._sock)", "trio"),
        ("/v/site-packages/h11/_readers.py", "x = 1", "h11"),
        (
            "/home/x/trio_stages/tcp.py",
            "data = self.socket.recv(room)",
            "the kernel: sockets and epoll",
        ),
        ("/home/x/trio_stages/tcp.py", "if data:", "trio_stages/tcp.py"),
        ("/home/x/trio_stages/events.py", "event: Event = _validate(body)", "pydantic"),
        ("/usr/lib/python3.11/contextlib.py", "next(self.gen)", "Python's library"),
    ],
)
def test_whose_time_a_line_is(file: str, line: str, owner: str) -> None:
    assert profile.part(file, line) == owner


def test_the_time_of_a_request_is_shared_out() -> None:
    lines = [
        ("/x/trio_stages/a.py", "f", 1, 30),
        ("/x/trio_stages/a.py", "f", 2, 30),
        ("/x/trio_stages/b.py", "g", 1, 40),
    ]
    parts, functions = profile.shared_out(10.0, lines)
    assert parts == {"trio_stages/a.py": 6.0, "trio_stages/b.py": 4.0}
    assert functions == {"trio_stages/a.py: f": 6.0, "trio_stages/b.py: g": 4.0}
