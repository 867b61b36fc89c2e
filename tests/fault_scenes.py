"""What the fault tests play: a stage, its options, its clients, and how long each may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from support import settings_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from faults import Trial

    from trio_stages.options import Settings

# Few places, so that they run out; durations that nobody else sleeps.
PLACES, RESERVE = 4, 1
OPTIONS: dict[str, Any] = {"log_level": "debug", "max_connections": PLACES - RESERVE, "capacity": 2}
IN_TASKS: dict[str, Any] = {"offload": "task", "work_ms": 13.0, "hold_ms": 7.0}
IN_THREADS: dict[str, Any] = {"offload": "thread", "work_ms": 2.1, "hold_ms": 1.1}
# How long a client pauses, and after how many pauses its time is up.
PAUSE_S, REAL_PAUSE_S = 0.1, 0.015
PAUSES = 3
TIMEOUTS = [f"{name}_timeout" for name in ("header", "body", "idle", "write")]


@dataclass(frozen=True)
class Scene:
    """A stage, its options, and who comes to visit.

    Attributes:
        threads: jobs run in threads, clients come over TCP, and time is real.
    """

    stage: int
    play: Callable[[Trial], Awaitable[None]]
    options: Mapping[str, Any] = field(default_factory=dict)
    threads: bool = False

    def __str__(self) -> str:
        options = " ".join(f"{name}={value}" for name, value in self.options.items())
        threads = "in threads" if self.threads else "in tasks"
        return f"stage {self.stage} {threads} {options}".rstrip()

    @property
    def pause_s(self) -> float:
        """How long a client pauses."""
        return REAL_PAUSE_S if self.threads else PAUSE_S

    @property
    def timeout_s(self) -> float:
        """How long the server waits for a client, whatever it waits for."""
        return PAUSES * self.pause_s

    def settings(self, drain_s: float) -> Settings:
        """The server's; a drain may take ``drain_s`` where the scene says nothing else."""
        return settings_of(
            self.stage,
            **dict.fromkeys(TIMEOUTS, self.timeout_s),
            **{"drain_timeout": drain_s}
            | OPTIONS
            | (IN_THREADS if self.threads else IN_TASKS)
            | dict(self.options),
        )
