"""What a load showed, for people (the document's own block first) and as JSON.

The JSON object (``--json``); times in the unit that ends their name, None where there is no figure:

- ``stage``, ``server_stage`` (None: one without /stats), ``config``: which server
- ``load``: requests, concurrency, users, amount, action, rate_per_s, new_connections
- ``duration_s``, ``throughput_per_s``; ``latency_ms``, ``accepted_latency_ms`` and
  ``refusal_latency_ms``: mean, p50, p99, max
- ``accepted``, ``rejected``, ``errors``, of these ``unknown``: sent, but never answered;
  ``answers``: requests by kind of answer
- ``model``: rate_per_s, accepted, during_flood_per_s
- ``during_flood_per_s``: jobs processed per second while the load ran, if it did not stall
- ``drain``: rate_per_s, jobs, span_s, duration_s, stalled
- ``stats``: the server's /stats after it all
- ``ok``, ``differences``: the ledger's (stages 1 and 2: the echo's) verdict
- ``server``: exit_status and final, if it was spawned
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .command import finite
from .flood import Latency, Outcome
from .loads import TITLES

if TYPE_CHECKING:
    from .drain import Drain
    from .flood import LoadResult
    from .loads import Load
    from .prediction import Model


def heading(stage: int, load: Load) -> str:
    """Title and load: what is known before it runs."""
    lines = [
        f"=== Stage {stage}: {TITLES[stage]} Stress Test ===",
        f"Total requests: {load.requests}",
        f"Concurrency: {load.concurrency}",
    ]
    if load.rate_per_s is not None:
        rate = f"{load.rate_per_s:,.0f}" if load.rate_per_s >= 10 else f"{load.rate_per_s:g}"
        lines.append(f"Rate: {rate} requests/sec (latency from the schedule)")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that one load showed.

    Attributes:
        stage: whose load it was.
        result: the outcome of every request.
        differences: what the ledger check (stages 1 and 2: the echo check) found.
        stats: the server's, after it all; None where it has none.
        model: None where no job takes time.
        during_flood_per_s: jobs processed per second during the load; None without jobs, and where
            the load stalled: those of the wait cannot be told from the others.
        drain: how the backlog went; None without one.
        final: the last line of a spawned server.
        exit_status: of a spawned server.
    """

    stage: int
    result: LoadResult
    differences: tuple[str, ...]
    stats: dict[str, Any] | None = None
    model: Model | None = None
    during_flood_per_s: float | None = None
    drain: Drain | None = None
    final: dict[str, Any] | None = None
    exit_status: int | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing differed."""
        return not self.differences

    def text(self) -> str:
        """What follows the ``heading``."""
        result = self.result
        latency = result.latency()
        errors = f"{result.errors}"
        if result.unknown:
            errors += f" ({result.unknown} without a reply)"
        blocks = [
            "=== Results ===\n"
            f"Duration:     {result.duration_s:.2f}s\n"
            f"Throughput:   {result.throughput_per_s:,.0f} requests/sec\n"
            f"Avg latency:  {_ms(latency.mean_s)}",
            f"Accepted:     {result.accepted}\n"
            f"Rejected:     {result.rejected} (backpressure)\n"
            f"Errors:       {errors}",
            "\n".join(self._figures(latency)),
            "\n".join(self._verdict()),
        ]
        return "\n\n".join(blocks)

    def _figures(self, latency: Latency) -> list[str]:
        result = self.result
        lines = [f"Latency:      {_percentiles(latency)}"]
        refusals = result.latency(Outcome.REJECTED)
        if refusals.count:
            lines.append(f"Refused in:   {_percentiles(refusals)}")
        if result.errors:
            answers = (f"{count} x {answer}" for answer, count in result.answers().most_common())
            lines.append(f"Answers:      {', '.join(answers)}")
        if self.model is not None:
            sent = result.sent
            predicted = self.model.accepted(sent, result.duration_s)
            lines.append(
                f"Model:        {predicted:.0f} accepted = "
                f"{self.model.formula(sent, result.duration_s)}\n"
                f"Measured:     {result.accepted} accepted "
                f"({result.accepted - predicted:+.0f} jobs, {_percent(result.accepted, predicted)})"
            )
            if self.during_flood_per_s is not None:
                lines.append(
                    f"During flood: {self.during_flood_per_s:,.1f} jobs/s "
                    f"(model: {_rate(self.model.during_flood_per_s(result.duration_s))})"
                )
            if self.drain is not None and self.drain.rate_per_s is not None:
                lines.append(
                    f"Drain:        {self.drain.rate_per_s:,.1f} jobs/s between completions, "
                    f"{self.drain.jobs} jobs in {self.drain.span_s:.2f}s "
                    f"(model: {_rate(self.model.rate_per_s)})"
                )
        return lines

    def _verdict(self) -> list[str]:
        lines = []
        if self.exit_status is not None:
            lines.append(f"Server exit status: {self.exit_status}")
        name = "Echo" if self.result.echo else "Ledger"
        lines.append(f"{name}: OK" if self.ok else f"{name}: DIFFERS")
        lines += [f"  {difference}" for difference in self.differences]
        return lines

    def to_json(self) -> dict[str, Any]:
        """The object that this module's docstring describes."""
        result, model, drain = self.result, self.model, self.drain
        stats = self.stats or {}
        content = {
            "stage": self.stage,
            "server_stage": stats.get("stage"),
            "config": stats.get("config"),
            "load": dataclasses.asdict(result.load),
            "duration_s": result.duration_s,
            "throughput_per_s": result.throughput_per_s,
            "latency_ms": _latency_ms(result.latency()),
            "accepted_latency_ms": _latency_ms(result.latency(Outcome.ACCEPTED)),
            "refusal_latency_ms": _latency_ms(result.latency(Outcome.REJECTED)),
            "accepted": result.accepted,
            "rejected": result.rejected,
            "errors": result.errors,
            "unknown": result.unknown,
            "answers": dict(result.answers()),
            "model": model
            and {
                "rate_per_s": model.rate_per_s,
                "accepted": model.accepted(result.sent, result.duration_s),
                "during_flood_per_s": model.during_flood_per_s(result.duration_s),
            },
            "during_flood_per_s": self.during_flood_per_s,
            "drain": drain
            and {
                "rate_per_s": drain.rate_per_s,
                "jobs": drain.jobs,
                "span_s": drain.span_s,
                "duration_s": drain.duration_s,
                "stalled": drain.stalled,
            },
            "stats": self.stats,
            "ok": self.ok,
            "differences": list(self.differences),
            "server": {"exit_status": self.exit_status, "final": self.final},
        }
        without_nan: dict[str, Any] = finite(content)
        return without_nan


def _ms(seconds: float) -> str:
    return "-" if math.isnan(seconds) else f"{seconds * 1000:.1f}ms"


def _rate(per_s: float) -> str:
    return "no limit" if math.isinf(per_s) else f"{per_s:,.1f}"


def _percentiles(latency: Latency) -> str:
    return f"p50 {_ms(latency.p50_s)}, p99 {_ms(latency.p99_s)}, max {_ms(latency.max_s)}"


def _percent(measured: float, predicted: float) -> str:
    return f"{100 * (measured / predicted - 1):+.1f}%" if predicted else "-"


def _latency_ms(latency: Latency) -> dict[str, float]:
    return {
        "mean": latency.mean_s * 1000,
        "p50": latency.p50_s * 1000,
        "p99": latency.p99_s * 1000,
        "max": latency.max_s * 1000,
    }
