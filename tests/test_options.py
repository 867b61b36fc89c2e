"""The options: which stage has a use for which, what they take, and who wins."""

from __future__ import annotations

import os
import resource
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from support import stage_module

from trio_stages.ladder import STAGES
from trio_stages.options import (
    OPTIONS,
    Settings,
    UsageError,
    default_max_connections,
    parse_settings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

# The contract's table, stage by stage: what each has a use for that the one before had not.
ADDED: dict[int, set[str]] = {
    1: {"host", "port", "log_level", "log_format"},
    2: set(),
    3: {
        *("max_connections", "header_timeout", "body_timeout", "idle_timeout", "write_timeout"),
        *("max_header_bytes", "max_body_bytes"),
        "no_fast_path",  # of issue 6
        "server",  # not in the contract's table: the host for hypercorn, of issue 3
    },
    4: {"work_ms", "blocking_sleep"},
    5: {"capacity", "overflow"},
    6: {"workers", "offload", "work"},
    7: {"hold_ms", "state", "shards"},
    8: set(),
    9: set(),
    10: {"drain_timeout"},
}
NO_LONGER: dict[int, set[str]] = {5: {"blocking_sleep"}}
DEFAULTS: dict[int, dict[str, object]] = {
    4: {"work_ms": 500},
    5: {"work_ms": 500, "capacity": 100, "workers": 1},
    6: {"work_ms": 500, "capacity": 100, "workers": 4},
    7: {"work_ms": 100, "hold_ms": 10, "capacity": 100, "workers": 16, "state": "mutex"},
    8: {"work_ms": 10, "hold_ms": 1, "capacity": 1000, "workers": 16, "state": "sharded"},
}
# A value for each option other than its default, and what becomes of it.
OTHER: dict[str, tuple[str, object]] = {
    "host": ("::1", "::1"),
    "port": ("0", 0),
    "log_level": ("error", "error"),
    "log_format": ("json", "json"),
    "max_connections": ("7", 7),
    "header_timeout": ("1.5", 1.5),
    "body_timeout": ("2", 2.0),
    "idle_timeout": ("0.25", 0.25),
    "write_timeout": ("4", 4.0),
    "max_header_bytes": ("1024", 1024),
    "max_body_bytes": ("99", 99),
    "no_fast_path": ("1", True),
    "work_ms": ("12.5", 12.5),
    "blocking_sleep": ("yes", True),
    "capacity": ("0", 0),
    "overflow": ("wait", "wait"),
    "workers": ("3", 3),
    "offload": ("task", "task"),
    "work": ("cpu", "cpu"),
    "hold_ms": ("0", 0.0),
    "state": ("per-user", "per-user"),
    "shards": ("5", 5),
    "drain_timeout": ("3", 3.0),
    "server": ("hypercorn", "hypercorn"),
}
BY_NAME = {option.name: option for option in OPTIONS}


def parse(stage: int, line: str = "", environment: Mapping[str, str] | None = None) -> Settings:
    return parse_settings(stage, stage_module(stage).DEFAULTS, line.split(), environment or {})


def used_by(stage: int) -> set[str]:
    used: set[str] = set()
    for number in range(1, stage + 1):
        used = (used | ADDED[number]) - NO_LONGER.get(number, set())
    return used


@pytest.mark.parametrize("stage", STAGES)
def test_defaults(stage: int) -> None:
    settings = parse(stage)
    general = {
        **{"stage": stage, "host": "127.0.0.1", "port": 8080},
        **{"header_timeout": 10, "body_timeout": 30, "idle_timeout": 60, "write_timeout": 10},
        **{"max_header_bytes": 16_384, "max_body_bytes": 1_048_576, "max_connections": 1000},
        **{"blocking_sleep": False, "overflow": "reject", "offload": "thread", "work": "sleep"},
        "shards": 4 * (os.cpu_count() or 1),
    }
    for name, value in (general | DEFAULTS.get(min(stage, 8), {})).items():
        assert getattr(settings, name) == value, name


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_takes_what_it_has_a_use_for(stage: int, name: str) -> None:
    """An option without a use is an error, a variable without one is ignored."""
    text, value = OTHER[name]
    flag, variable = "--" + name.replace("_", "-"), "TRIO_STAGES_" + name.upper()
    line = flag if value is True else f"{flag} {text}"
    if name == "shards":
        line += " --state sharded"
    if name in used_by(stage):
        for settings in (parse(stage, line), parse(stage, environment={variable: text})):
            assert getattr(settings, name) == value
    else:
        with pytest.raises(UsageError, match=rf"^{flag}: stage {stage} has no use for it; stage"):
            parse(stage, line)
        assert parse(stage, environment={variable: "nonsense"}) == parse(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_the_config_is_what_is_in_force(stage: int) -> None:
    settings = parse(stage)
    used = used_by(stage)
    if settings.state != "sharded":
        used -= {"shards"}
    assert set(settings.in_force()) == used
    assert all(value == getattr(settings, name) for name, value in settings.in_force().items())


def test_shards_are_in_force_where_the_state_is_sharded() -> None:
    assert parse(7, "--state sharded --shards 3").in_force()["shards"] == 3
    assert "shards" not in parse(8, "--state rwlock").in_force()


def test_the_command_line_wins_over_the_environment_over_the_defaults() -> None:
    environment = {"TRIO_STAGES_WORKERS": "7", "TRIO_STAGES_CAPACITY": "9", "TRIO_STAGES_PORT": "?"}
    settings = parse(6, "--workers 8 --port 1", environment)
    assert (settings.workers, settings.capacity, settings.work_ms) == (8, 9, 500)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--nonsense 1", "--nonsense: no such option; see 'python -m trio_stages 8 --help'"),
        ("nonsense", "nonsense: no such option; see 'python -m trio_stages 8 --help'"),
        ("--capac 3", "--capac: no such option; see 'python -m trio_stages 8 --help'"),
        ("--drain-timeout 3", "--drain-timeout: stage 8 has no use for it; stages 10 and up would"),
        ("--blocking-sleep", "--blocking-sleep: stage 8 has no use for it; stage 4 alone would"),
        ("--port", "argument --port: expected one argument"),
        ("--port x", "--port: 'x' is not a whole number"),
        ("--port 1.0", "--port: '1.0' is not a whole number"),
        ("--port -1", "--port: -1 is not between 0 and 65535"),
        ("--port 65536", "--port: 65536 is not between 0 and 65535"),
        ("--work-ms x", "--work-ms: 'x' is not a number"),
        ("--work-ms nan", "--work-ms: nan is not between 0 and 1e+09"),
        ("--work-ms inf", "--work-ms: inf is not between 0 and 1e+09"),
        ("--work-ms -1", "--work-ms: -1 is not between 0 and 1e+09"),
        ("--header-timeout 0", "--header-timeout: 0 is not between 0.001 and 1e+06"),
        ("--max-body-bytes 0", "--max-body-bytes: 0 is not between 1 and 1e+09"),
        ("--capacity -1", "--capacity: -1 is not between 0 and 1e+09"),
        ("--workers 0", "--workers: 0 is not between 1 and 10000"),
        ("--shards 0", "--shards: 0 is not between 1 and 65536"),
        ("--state mutex --shards 2", "--shards: --state mutex has none; only sharded has"),
        ("--state none", "--state: 'none' is not one of mutex, rwlock, sharded, per-user"),
        ("--offload process", "--offload: 'process' is not one of thread, task"),
        ("--work gpu", "--work: 'gpu' is not one of sleep, cpu"),
        ("--overflow drop", "--overflow: 'drop' is not one of reject, wait"),
        ("--log-level trace", "--log-level: 'trace' is not one of debug, info, warning, error"),
        ("--log-format xml", "--log-format: 'xml' is not one of text, json"),
    ],
)
def test_a_bad_command_line_is_told_what_is_wrong(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(8, line)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1


def test_a_bad_variable_is_told_by_its_name() -> None:
    with pytest.raises(UsageError, match=r"^TRIO_STAGES_WORKERS: 'many' is not a whole number$"):
        parse(6, environment={"TRIO_STAGES_WORKERS": "many"})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, True) for text in ("1", "true", "TRUE", "yes")),
        *((text, False) for text in ("0", "false", "no", "")),
    ],
)
def test_a_flag_from_the_environment(text: str, value: bool) -> None:
    assert parse(4, environment={"TRIO_STAGES_BLOCKING_SLEEP": text}).blocking_sleep is value


def test_a_flag_from_the_environment_that_is_none() -> None:
    with pytest.raises(UsageError, match="'maybe' is neither true nor false"):
        parse(4, environment={"TRIO_STAGES_BLOCKING_SLEEP": "maybe"})


@pytest.mark.parametrize(
    ("limit", "connections"),
    [(resource.RLIM_INFINITY, 1000), (4096, 1000), (1024, 960), (256, 192), (64, 1), (20, 1)],
)
def test_connections_leave_room_for_other_descriptors(
    limit: int, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (limit, limit))
    assert default_max_connections() == connections
    assert parse(3).max_connections == connections


def test_seconds() -> None:
    settings = parse(7, "--work-ms 250 --hold-ms 2.5")
    assert (settings.work_s, settings.hold_s) == (0.25, 0.0025)


def test_each_option_is_a_setting_with_help() -> None:
    names: dict[str, Any] = {field.name: field for field in fields(Settings)}
    assert names.keys() - BY_NAME.keys() == {"stage"}
    assert BY_NAME.keys() == OTHER.keys()
    assert all(option.help for option in OPTIONS)
