"""Measuring: every run a process of its own, the columns side by side within a round."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trio_stages.report import machine

from .operations import OPERATIONS, Operation, columns_at_hand
from .results import Costs, Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ROUNDS = 5
#: A run takes well under a second.
LIMIT_S = 60.0

_ROOT = Path(__file__).resolve().parents[3]


def measure(
    *,
    operations: Iterable[Operation] = OPERATIONS,
    columns: Iterable[str] | None = None,
    rounds: int = ROUNDS,
    scale: float = 1.0,
    on_run: Callable[[Operation, str], object] = lambda operation, column: None,
) -> Costs:
    """Measure what the same work costs in each column, on this interpreter.

    Blocks for about ``rounds`` × columns × operations × 0.5 s, one process at a time.

    Args:
        operations: what to measure.
        columns: where; by default wherever this interpreter can.
        rounds: how often. The column that goes first is another one in each.
        scale: of the operations' counts; the figures of small ones are mostly noise.
        on_run: called before each run.

    Returns:
        What was measured. A run that failed, or was not over in ``LIMIT_S``, is None in it.
    """
    operations = tuple(operations)
    columns = tuple(columns_at_hand() if columns is None else columns)
    runs: list[Runs] = []
    for operation in operations:
        count = max(10, round(operation.count * scale))
        found: dict[str, list[dict[str, Any] | None]] = {column: [] for column in columns}
        for number in range(rounds):
            for column in _rotated(columns, number):
                on_run(operation, column)
                found[column].append(run_cell(column, operation.name, count))
        runs += (_runs(operation.name, column, count, found[column]) for column in columns)
    return Costs(stamp=machine(), rounds=rounds, runs=tuple(runs))


def run_cell(column: str, operation: str, count: int) -> dict[str, Any] | None:
    """One run in a process of its own: what ``cell`` printed, None if it did not come to that."""
    words = ["-m", f"{__package__}.cell", column, operation, str(count)]
    try:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=_ROOT,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=True,
        )
    except subprocess.TimeoutExpired:
        print(f"costs: {operation} in {column}: not over in {LIMIT_S:g} s", file=sys.stderr)
        return None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"costs: {operation} in {column}: {last}", file=sys.stderr)
        return None
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _rotated(columns: tuple[str, ...], number: int) -> Iterator[str]:
    start = number % len(columns)
    yield from columns[start:]
    yield from columns[:start]


def _runs(operation: str, column: str, count: int, found: list[dict[str, Any] | None]) -> Runs:
    ended = [result for result in found if result is not None]
    worst: dict[str, int] = {}
    for result in ended:
        for name, value in result["facts"].items():
            worst[name] = max(value, worst.get(name, value))
    return Runs(
        operation=operation,
        column=column,
        count=min((result["count"] for result in ended), default=count),
        cpu_s=tuple(None if result is None else result["cpu_s"] for result in found),
        wall_s=tuple(None if result is None else result["wall_s"] for result in found),
        facts=worst,
    )
