"""What every test gets: no options from the caller's environment, and no time limit on examples."""

import os

import pytest
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
