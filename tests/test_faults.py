"""The books hold, and nothing is left behind, whatever strikes and whenever.

``--fault-steps`` says how many faults strike in all, ``--fault-seed`` loads the dice; a failure can
be had again with the same two options. Enough steps, and every fault strikes at every moment.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from random import Random
from typing import Any

import pytest
from fault_clients import crowd, play, post_all_the_time
from fault_kinds import CANCEL, HANG, STOP, Fault, faults_for
from fault_scenes import Scene
from faults import Trial

pytestmark = pytest.mark.untraced

Plan = Mapping[int, Fault]

SLOW: dict[str, Any] = {"work_ms": 130.0}  # so that places are waited for, and drains take a while
IN_TASKS = [
    Scene(3, play),
    Scene(4, play),
    Scene(5, play, {"overflow": "reject"}),
    Scene(5, play, {"overflow": "wait", "capacity": 1} | SLOW),
    Scene(6, play, {"overflow": "reject", "workers": 2}),
    Scene(6, play, {"overflow": "wait", "workers": 2, "capacity": 0} | SLOW),
    Scene(7, play, {"overflow": "reject", "workers": 2, "state": "mutex"}),
    Scene(7, play, {"overflow": "wait", "workers": 2, "capacity": 1, "state": "rwlock"} | SLOW),
    Scene(8, play, {"overflow": "reject", "workers": 2, "capacity": 0, "state": "sharded"}),
    Scene(8, play, {"overflow": "wait", "workers": 2, "capacity": 1, "state": "per-user"} | SLOW),
    Scene(9, play, {"overflow": "reject", "workers": 2, "state": "rwlock"} | SLOW),
    Scene(9, play, {"overflow": "wait", "workers": 2, "capacity": 0, "state": "sharded"}),
    Scene(10, play, {"overflow": "reject", "workers": 2, "state": "sharded"}),
    Scene(10, play, {"overflow": "wait", "workers": 2, "capacity": 1, "state": "mutex"} | SLOW),
]
DRAINS = [
    Scene(10, post_all_the_time, {"overflow": "reject", "workers": 2, "state": "sharded"} | SLOW),
    Scene(10, post_all_the_time, {"overflow": "wait", "workers": 2, "capacity": 1} | SLOW),
]
CROWDS = [Scene(scene.stage, crowd, scene.options) for scene in IN_TASKS]
IN_THREADS = [
    Scene(6, play, {"overflow": "reject", "workers": 2}, threads=True),
    Scene(7, play, {"overflow": "wait", "workers": 2, "capacity": 1}, threads=True),
    Scene(8, play, {"overflow": "reject", "workers": 4, "capacity": 0}, threads=True),
    Scene(10, play, {"overflow": "wait", "workers": 2, "capacity": 1}, threads=True),
]
# What part of all steps each test has, over all of its scenes.
ALONE, TOGETHER, AMID_DRAIN, REAL, HUNG = 0.55, 0.25, 0.1, 0.05, 0.01
# Each scene is played with so many casts and schedules.
CASTS = 2


@pytest.fixture(scope="module", autouse=True)
def little_garbage() -> Iterator[None]:
    """Each trial looks for garbage, but not among what was there before."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(params=range(CASTS), ids=lambda cast: f"cast{cast}")
def seed(request: pytest.FixtureRequest) -> str:
    return f"{request.config.getoption('fault_seed')} {request.param}"


@pytest.fixture
def steps(request: pytest.FixtureRequest) -> int:
    """All of them; a test takes its part."""
    return int(request.config.getoption("fault_steps"))


def rehearsed(scene: Scene, seed: str) -> range:
    """All moments of a trial in which nothing strikes; nothing may go wrong in it either."""
    trial = Trial(scene, {}, seed)
    problems = trial.run()
    assert not problems, f"{scene}, without a fault: {problems}"
    return range(trial.moments)


def check(scene: Scene, plans: Iterable[Plan], seed: str) -> None:
    """Run a trial for each plan."""
    found = []
    for plan in plans:
        problems = Trial(scene, plan, seed).run()
        if problems:
            what = ", ".join(f"{fault} at moment {moment}" for moment, fault in plan.items())
            found.append("\n  ".join([f"{what}:", *problems]))
    assert not found, "\n".join([f"{scene}, seed {seed!r}: {len(found)} times", *found[:3]])


def part(whole: int, fraction: float, scenes: list[Scene]) -> int:
    """One scene's, and one cast's, number of steps."""
    return max(1, round(whole * fraction / len(scenes) / CASTS))


def one_each(faults: list[Fault], moments: range, steps: int, random: Random) -> Iterator[Plan]:
    """Plans with one fault at one moment: so many of all there are."""
    there_are = len(faults) * len(moments)
    for which in random.sample(range(there_are), min(steps, there_are)):
        fault, moment = divmod(which, len(moments))
        yield {moments[moment]: faults[fault]}


@pytest.mark.parametrize("scene", IN_TASKS, ids=str)
def test_one_fault(scene: Scene, steps: int, seed: str) -> None:
    faults, moments = faults_for(scene.stage), rehearsed(scene, seed)
    check(scene, one_each(faults, moments, part(steps, ALONE, IN_TASKS), Random(seed)), seed)


@pytest.mark.parametrize("scene", CROWDS, ids=str)
def test_many_faults_among_random_clients(scene: Scene, steps: int, seed: str) -> None:
    faults, moments, random = faults_for(scene.stage), rehearsed(scene, seed), Random(seed)
    left = part(steps, TOGETHER, CROWDS)
    plans = []
    while left > 0:
        plan = {random.choice(moments): random.choice(faults) for _ in range(min(left, 12))}
        plans.append(plan)
        left -= len(plan)
    check(scene, plans, seed)


@pytest.mark.parametrize("scene", DRAINS, ids=str)
def test_a_graceful_stop_at_every_moment_loses_nothing(scene: Scene, seed: str) -> None:
    """Whatever the steps: this is what stage 10 is for. The casts share one schedule's moments."""
    fault_seed, cast = seed.split()
    schedule = f"{fault_seed} 0"
    moments = rehearsed(scene, schedule)[int(cast) :: CASTS]
    check(scene, [{moment: STOP} for moment in moments], schedule)


@pytest.mark.parametrize("scene", DRAINS, ids=str)
def test_a_fault_amid_a_drain(scene: Scene, steps: int, seed: str) -> None:
    """A second signal among them."""
    faults, moments, random = faults_for(10), rehearsed(scene, seed), Random(seed)
    plans = []
    for _ in range(part(steps, AMID_DRAIN, DRAINS)):
        stop, then = sorted(random.sample(moments, 2))
        plans.append({stop: STOP, then: random.choice(faults)})
    check(scene, plans, seed)


def test_a_drain_whose_jobs_do_not_end_keeps_its_deadline(steps: int, seed: str) -> None:
    scene = Scene(10, play, {"workers": 2, "work_ms": 800.0, "drain_timeout": 0.4})
    moments = rehearsed(scene, seed)
    check(scene, one_each([STOP], moments, part(steps, AMID_DRAIN, DRAINS), Random(seed)), seed)


@pytest.mark.parametrize("scene", IN_THREADS, ids=str)
def test_one_fault_where_threads_and_sockets_are_real(scene: Scene, steps: int, seed: str) -> None:
    faults, moments = faults_for(scene.stage, threads=True), rehearsed(scene, seed)
    check(scene, one_each(faults, moments, part(steps, REAL, IN_THREADS), Random(seed)), seed)


@pytest.mark.parametrize("scene", IN_THREADS, ids=str)
def test_a_thread_that_hangs_is_given_up_amid_work(scene: Scene, steps: int, seed: str) -> None:
    moments, random = rehearsed(scene, seed), Random(seed)
    plans = []
    for _ in range(part(steps, HUNG, IN_THREADS)):
        hang, then = sorted(random.sample(moments[len(moments) // 4 :], 2))
        plans.append({hang: HANG, then: STOP if scene.stage == 10 else CANCEL})
    check(scene, plans, seed)
