"""The options, each declared once: its name, its values, and the stages that have a use for it.

The command line, the ``TRIO_STAGES_…`` environment, ``--help`` and the ``config`` in ``/stats`` all
read this table.
"""

from __future__ import annotations

import argparse
import os
import resource
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ENVIRONMENT_PREFIX = "TRIO_STAGES_"
LAST_STAGE = 99
# Descriptors that are not connections: the listener, the loop's own, logs, and room for the
# connections beyond the limit that are told so.
RESERVED_DESCRIPTORS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options in force, for every stage; one that a stage has no use for keeps its default.

    Times are in seconds unless the name says ``_ms``.
    """

    stage: int
    host: str = "127.0.0.1"
    port: int = 8080
    server: Literal["trio", "hypercorn"] = "trio"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    max_connections: int = 1000
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    idle_timeout: float = 60.0
    write_timeout: float = 10.0
    max_header_bytes: int = 16_384
    max_body_bytes: int = 1_048_576
    no_fast_path: bool = False
    work_ms: float = 0.0
    blocking_sleep: bool = False
    capacity: int = 0
    overflow: Literal["reject", "wait"] = "reject"
    workers: int = 1
    offload: Literal["thread", "task"] = "thread"
    work: Literal["sleep", "cpu"] = "sleep"
    hold_ms: float = 0.0
    state: Literal["mutex", "rwlock", "sharded", "per-user"] = "mutex"
    shards: int = 0
    drain_timeout: float = 10.0

    @property
    def work_s(self) -> float:
        """Simulated work before the lock, in seconds."""
        return self.work_ms / 1000

    @property
    def hold_s(self) -> float:
        """Simulated work under the lock, in seconds."""
        return self.hold_ms / 1000

    def in_force(self) -> dict[str, object]:
        """The options that this stage has a use for, by name."""
        used = {option.name for option in options_of(self.stage)}
        if self.state != "sharded":
            used.discard("shards")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name in used}


class UsageError(ValueError):
    """What was wrong with the command line, and where; one line, for the person who typed it."""


def _number(kind: Callable[[str], float], minimum: float, maximum: float) -> Callable[[str], Any]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise UsageError(f"{text!r} is not {what}") from None
        if not minimum <= value <= maximum:
            raise UsageError(f"{text} is not between {minimum:g} and {maximum:g}")
        return value

    return parse


def _one_of(*choices: str) -> Callable[[str], Any]:
    def parse(text: str) -> str:
        if text not in choices:
            raise UsageError(f"{text!r} is not one of {', '.join(choices)}")
        return text

    return parse


def _flag(text: str) -> bool:
    values = {
        "1": True,
        "true": True,
        "yes": True,
        "0": False,
        "false": False,
        "no": False,
        "": False,
    }
    try:
        return values[text.lower()]
    except KeyError:
        raise UsageError(f"{text!r} is neither true nor false") from None


_seconds = _number(float, 0.001, 1e6)
_milliseconds = _number(float, 0, 1e9)
_positive = _number(int, 1, 1e9)


@dataclass(frozen=True, slots=True)
class Option:
    """One option: ``--name-with-dashes`` and ``TRIO_STAGES_NAME_WITH_UNDERSCORES``."""

    name: str
    parse: Callable[[str], Any]
    help: str
    first_stage: int = 1
    last_stage: int = LAST_STAGE

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return ENVIRONMENT_PREFIX + self.name.upper()


OPTIONS = (
    Option("host", str, "address to listen on"),
    Option("port", _number(int, 0, 65_535), "port to listen on; 0: any free one"),
    Option("server", _one_of("trio", "hypercorn"), "who owns the connections", 3),
    Option("log_level", _one_of("debug", "info", "warning", "error"), "least level that is logged"),
    Option("log_format", _one_of("text", "json"), "a line per record on stderr, text or JSON"),
    Option("max_connections", _positive, "further ones get 503 and a close", 3),
    Option("header_timeout", _seconds, "s for a whole request head", 3),
    Option("body_timeout", _seconds, "s for a whole request body", 3),
    Option("idle_timeout", _seconds, "s between two requests of a connection", 3),
    Option("write_timeout", _seconds, "s for a client to take a reply, for each MiB of it", 3),
    Option("max_header_bytes", _positive, "longest request head", 3),
    Option("max_body_bytes", _positive, "longest request body", 3),
    Option("no_fast_path", _flag, "let h11 read every head, those too that it has read before", 3),
    Option("work_ms", _milliseconds, "simulated work of a job", 4),
    Option(
        "blocking_sleep", _flag, "work with time.sleep: the wrong sleep, in the event loop", 4, 4
    ),
    Option("capacity", _number(int, 0, 1e9), "jobs that the queue holds", 5),
    Option("overflow", _one_of("reject", "wait"), "what a full queue does to a new job", 5),
    Option("workers", _number(int, 1, 10_000), "jobs in hand at once", 6),
    Option("offload", _one_of("thread", "task"), "where a job runs", 6),
    Option("work", _one_of("sleep", "cpu"), "what simulated work is made of", 6),
    Option("hold_ms", _milliseconds, "simulated work under the lock", 7),
    Option(
        "state",
        _one_of("mutex", "rwlock", "sharded", "per-user"),
        "how the balances are locked",
        7,
    ),
    Option("shards", _number(int, 1, 65_536), "locks of --state sharded", 7),
    Option("drain_timeout", _seconds, "s for a graceful stop", 10),
)


def options_of(stage: int) -> list[Option]:
    """The options that a stage has a use for."""
    return [option for option in OPTIONS if option.first_stage <= stage <= option.last_stage]


def default_max_connections() -> int:
    """1,000, or what the descriptor limit allows."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return 1000
    return max(1, min(1000, limit - RESERVED_DESCRIPTORS))


def default_shards() -> int:
    """Four for each core, as DashMap has it."""
    return 4 * (os.cpu_count() or 1)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def parse_settings(
    stage: int,
    defaults: Mapping[str, object],
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    description: str | None = None,
) -> Settings:
    """Put the settings of one stage together: command line over environment over defaults.

    Args:
        stage: its number.
        defaults: the stage's own, over those of ``Settings``.
        arguments: the command line behind the stage's number.
        environment: such as ``os.environ``; variables the stage has no use for are ignored.
        description: for ``--help``.

    Raises:
        UsageError: an unknown option, one that the stage has no use for, or a bad value.
    """
    values: dict[str, object] = {
        "max_connections": default_max_connections(),
        "shards": default_shards(),
        **defaults,
    }
    options = options_of(stage)
    parser = _Parser(
        prog=f"trio_stages {stage}", description=description, allow_abbrev=False, add_help=True
    )
    of_settings = {f.name: f.default for f in fields(Settings)}
    for option in options:
        default = values.get(option.name, of_settings[option.name])
        about = f"{option.help} (default: {default}; {option.variable})"
        if option.parse is _flag:
            parser.add_argument(option.flag, action="store_const", const="true", help=about)
        else:
            parser.add_argument(option.flag, metavar="VALUE", help=about)
    given, unknown = parser.parse_known_args(list(arguments))
    if unknown:
        raise UsageError(_explain_unknown(stage, unknown[0]))
    for option in options:
        source, text = option.flag, getattr(given, option.name)
        if text is None:
            source, text = option.variable, environment.get(option.variable)
        if text is not None:
            try:
                values[option.name] = option.parse(text)
            except UsageError as error:
                raise UsageError(f"{source}: {error}") from None
    settings = Settings(stage=stage, **values)  # type: ignore[arg-type]
    if settings.state != "sharded" and getattr(given, "shards", None) is not None:
        raise UsageError(f"--shards: --state {settings.state} has none; only sharded has")
    return settings


def _explain_unknown(stage: int, argument: str) -> str:
    flag = argument.partition("=")[0]
    for option in OPTIONS:
        if flag == option.flag:
            if option.last_stage == option.first_stage:
                stages = f"stage {option.first_stage} alone"
            else:
                stages = f"stages {option.first_stage} and up"
            return f"{flag}: stage {stage} has no use for it; {stages} would"
    return f"{argument}: no such option; see 'python -m trio_stages {stage} --help'"
