"""What every test gets: no options from the caller's environment, and no time limit on examples."""

import os
from collections.abc import Iterator

import pytest
from coverage import Coverage
from hypothesis import settings

# Wall-clock deadlines fail on a busy machine; a hang is caught by faulthandler_timeout.
settings.register_profile("trio_stages", deadline=None)
settings.load_profile("trio_stages")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--fault-steps", type=int, default=2000, help="how many faults strike in all")
    group.addoption("--fault-seed", default="1", help="of the dice that say where and when")


def pytest_report_header(config: pytest.Config) -> str:
    return f"faults: {config.getoption('fault_steps')} steps, seed {config.getoption('fault_seed')}"


@pytest.fixture(autouse=True)
def no_options_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TRIO_STAGES_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def untraced(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests marked ``untraced`` repeat the same lines for long: coverage would double the time."""
    coverage = Coverage.current() if request.node.get_closest_marker("untraced") else None
    if coverage is None:
        yield
        return
    coverage.stop()
    try:
        yield
    finally:
        coverage.start()
