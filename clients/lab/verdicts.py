"""How verdicts come about: a claim, the figures, and a comparison that is made here and now."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from .results import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

Source = Literal["document", "model", "ours"]


def judge(
    claim: str,
    holds: bool | None,
    measured: str,
    source: Source = "ours",
    *,
    of: Sequence[float] = (),
) -> Verdict:
    """A verdict on any condition.

    Args:
        claim: a sentence.
        holds: None: it could not be observed.
        measured: the figures, in words.
        source: whose claim it is.
        of: the figures that the condition compares; where one could not be had, nothing was
            observed.
    """
    if not all(map(math.isfinite, of)):
        holds = None
    return Verdict(claim=claim, holds=holds, measured=measured, source=source)


def agrees(
    claim: str,
    measured: float,
    predicted: float,
    *,
    within: float,
    unit: str = "",
    slack: float = 0.0,
    source: Source = "model",
) -> Verdict:
    """Whether a figure is as predicted.

    Args:
        claim: a sentence.
        measured: nan if it could not be had.
        predicted: what it is compared with.
        within: the share by which it may be off.
        unit: of both.
        slack: what it may be off in any case, such as one job.
        source: whose claim it is.
    """
    if not math.isfinite(measured) or not math.isfinite(predicted):
        return judge(claim, None, "no figure could be had", source)
    behind = f" {unit}" if unit else ""
    off = f", {100 * (measured / predicted - 1):+.1f} %" if predicted else ""
    text = f"{figure(measured)}{behind} measured, {figure(predicted)}{behind} predicted{off}"
    holds = abs(measured - predicted) <= max(within * abs(predicted), slack)
    return judge(claim, holds, text, source)


def figure(value: float) -> str:
    """For a sentence: four significant digits, no exponent."""
    if not math.isfinite(value):
        return "–"
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def known(value: float) -> float | None:
    """For a table: None where there is no figure, else without digits that mean nothing."""
    return float(f"{value:.9g}") if math.isfinite(value) else None
