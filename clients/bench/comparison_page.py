"""A comparison for people: a table for each load, bars, verdicts; in a terminal and as a page."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from trio_stages.report.page import Code, Figure, Page, Section
from trio_stages.report.plots import COLOURS, svg
from trio_stages.report.tables import Table

from . import figures, loads, servers, targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from .compare import Comparison
    from .generate import Sample
    from .servers import Server

COLUMNS = (
    *("server", "accepted/s", "lowest to highest", "ours ÷ its", "of replies"),
    *("p50 ms", "p99 ms", "CPU µs", "its ÷ ours", "MB", "errors"),
)
EXPLAINED = (
    "**accepted/s** counts events that were answered 2xx, not replies; **of replies** is their "
    "share, the rest were 503. **CPU µs** is the server's processor time, with its children, for "
    "an accepted event. Both **ratios** are medians of ratios within a round: above 1 ours is "
    "ahead. **errors** are connections that failed."
)
BAR_COLOURS = {
    "ours": COLOURS["trio"],
    "framework": COLOURS["asyncio"],
    "bare": COLOURS["other"],
    "limit": COLOURS["model"],
    "ceiling": COLOURS["model"],
}


def tables(found: Comparison) -> list[Table]:
    """One for each load that was measured, in the order of the loads."""
    return [_table(found.samples, load) for load in _loads(found)]


def page(found: Comparison, *, plots: bool = True) -> Page:
    """The whole comparison.

    Args:
        found: what was measured.
        plots: with bars, which need matplotlib.
    """
    absent = [f"{servers.named(name).title}: {why}" for name, why in found.absent.items()]
    return Page(
        title="Beside what people would pick instead",
        intro=f"Stage 8 without simulated work, so that the server is what is measured, and other "
        f"servers of the same service: one process each, {found.rounds} interleaved rounds of "
        f"{found.seconds:g} s. Medians.",
        stamp=found.stamp,
        sections=(
            Section(
                title="What was to be reached",
                blocks=(*targets.verdicts(found.samples),),
            ),
            *(
                Section(
                    title=load.title[0].upper() + load.title[1:],
                    blocks=(
                        *([EXPLAINED] if not number else []),
                        _table(found.samples, load),
                        *([_bars(found.samples, load)] if plots else []),
                    ),
                    anchor=load.name,
                )
                for number, load in enumerate(_loads(found))
            ),
            *([Section(title="Absent", blocks=tuple(absent))] if absent else []),
            Section(
                title="Who they are",
                blocks=(
                    *(
                        Code(text=" ".join(_shown(server)), language="sh", caption=server.title)
                        for server in servers.SERVERS
                        if any(sample.server == server.name for sample in found.samples)
                    ),
                ),
            ),
        ),
    )


def _loads(found: Comparison) -> list[loads.Load]:
    names = {sample.load for sample in found.samples}
    return [load for load in loads.LOADS if load.name in names]


def _servers(samples: Sequence[Sample], load: loads.Load) -> list[Server]:
    """Those that were measured, in the order of the table; other checkouts come last."""
    names = list(dict.fromkeys(sample.server for sample in samples if sample.load == load.name))
    known = [server for server in servers.SERVERS if server.name in names]
    return known + [servers.named(name) for name in names if name not in servers.BY_NAME]


def _table(samples: Sequence[Sample], load: loads.Load) -> Table:
    return Table(
        columns=COLUMNS,
        rows=tuple(_row(samples, server, load) for server in _servers(samples, load)),
        caption=load.title,
    )


def _row(samples: Sequence[Sample], server: Server, load: loads.Load) -> tuple[str, ...]:
    median = partial(_median, samples, server, load)
    accepted = figures.spread(samples, server.name, load.name, "accepted_per_s")
    share = figures.spread(samples, server.name, load.name, "share_accepted")
    errors = figures.figures(samples, server.name, load.name, "errors")
    return (
        server.title,
        median("accepted_per_s"),
        f"{accepted.low:,.0f} to {accepted.high:,.0f}" if accepted else "-",
        _ratio(figures.times(samples, targets.OURS, server.name, load.name)),
        f"{share.median:.1%}" if share else "-",
        median("p50_ms", 1),
        median("p99_ms", 1),
        median("cpu_us", 1),
        _ratio(figures.cheaper(samples, targets.OURS, server.name, load.name)),
        median("resident_mb"),
        f"{sum(errors.values()):.0f}",
    )


def _median(
    samples: Sequence[Sample], server: Server, load: loads.Load, figure: str, digits: int = 0
) -> str:
    found = figures.spread(samples, server.name, load.name, figure)
    return f"{found.median:,.{digits}f}" if found else "-"


def _ratio(found: figures.Spread | None) -> str:
    return f"{found.median:.2f}×" if found else "-"


def _bars(samples: Sequence[Sample], load: loads.Load) -> Figure:
    shown = _servers(samples, load)[::-1]  # bars grow upwards
    spreads = [figures.spread(samples, s.name, load.name, "accepted_per_s") for s in shown]
    medians = [found.median if found else 0.0 for found in spreads]
    reach = [
        [m - (found.low if found else 0.0) for m, found in zip(medians, spreads, strict=True)],
        [(found.high if found else 0.0) - m for m, found in zip(medians, spreads, strict=True)],
    ]

    def draw(axes: Axes) -> None:
        axes.barh(
            [server.title for server in shown],
            medians,
            xerr=reach,
            color=[BAR_COLOURS[server.kind] for server in shown],
            ecolor=COLOURS["model"],
            height=0.7,
        )
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.grid(visible=False, axis="y")

    return Figure(
        svg=svg(draw, xlabel="accepted per second", height_in=0.8 + 0.27 * len(shown)),
        caption=f"Accepted per second, {load.title}: median, lowest and highest.",
        alt="; ".join(f"{s.title}: {m:,.0f}" for s, m in zip(shown, medians, strict=True)),
    )


def _shown(server: Server) -> list[str]:
    # The interpreter's path is nobody's business.
    return ["python", *(part.format(port="PORT") for part in server.argv[1:])]
