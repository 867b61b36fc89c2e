"""Does the server's ledger agree with what its client knows, and with itself?

The client knows of every event whether it was accepted, refused, or left without an answer. The
last kind makes the check an interval instead of a number: such an event may or may not count, and
a balance anywhere between is right. Everything is compared as a rise since the load began, so that
two loads may follow each other on one server; two at a time may not. No client sends a job that
may raise: one that did is a difference, however well the sums that count it add up.

Every function returns differences in words, one a line; none is the good news.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from .flood import Outcome
from .replies import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .flood import LoadResult

# Exit statuses of a server that was told to stop.
NOTHING_LOST = 0
JOBS_ABANDONED = 3


def check_balances(
    result: LoadResult,
    before: Mapping[str, int],
    after: Mapping[str, int],
    *,
    drained: bool = True,
) -> list[str]:
    """Compare the client's events with the rise of every balance, user by user.

    Args:
        result: of the load.
        before: ``GET /balances`` before it.
        after: the same now.
        drained: whether all that was accepted is done; if not, no user may have more than that.
    """
    accepted = result.by_user(Outcome.ACCEPTED)
    unknown = result.by_user(Outcome.UNKNOWN)
    if not drained:  # an accepted event may yet be queued: its effect is as open as an unknown's
        accepted, unknown = Counter(), accepted + unknown
    amount = result.load.amount
    differences = []
    users = accepted.keys() | unknown.keys() | before.keys() | after.keys()
    for user in sorted(users, key=lambda user: (len(user), user)):  # user2 before user10
        rise = after.get(user, 0) - before.get(user, 0)
        if not _within(rise, accepted[user], unknown[user], amount):
            differences.append(
                f"{user}: balance rose by {rise}, "
                f"expected {_interval(accepted[user], unknown[user], amount)}"
            )
    return differences


def check_total(
    amount: int,
    before: tuple[Mapping[str, int], Mapping[str, Any]],
    after: tuple[Mapping[str, int], Mapping[str, Any]],
) -> list[str]:
    """All balances together rose by what was processed, whatever became of unanswered requests.

    An interval for each user would hide an event that was lost behind one that was applied twice.

    Args:
        amount: of every event.
        before: ``GET /balances`` and ``GET /stats`` before the load, with nothing outstanding.
        after: the same now.
    """
    (balances_before, stats_before), (balances, stats) = before, after
    rise = sum(balances.values()) - sum(balances_before.values())
    processed = stats["processed"] - stats_before["processed"]
    if rise == amount * processed:
        return []
    return [f"all balances: rose by {rise}, with {processed} x {amount} processed"]


def check_counters(
    result: LoadResult, before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[str]:
    """Compare the client's counts with the rise of the server's counters; no job has failed.

    Args:
        result: of the load.
        before: ``GET /stats`` before it.
        after: the same now.
    """
    differences = []
    for counter, known in (("accepted", result.accepted), ("rejected", result.rejected)):
        rise = after[counter] - before[counter]
        if not _within(rise, known, result.unknown):
            expected = _interval(known, result.unknown)
            differences.append(f"{counter}: the server counted {rise}, the client {expected}")
    if failed := after["failed"] - before["failed"]:
        differences.append(f"failed: the server counted {failed}, expected 0")
    return differences


def check_replied_balances(result: LoadResult, before: Mapping[str, int]) -> list[str]:
    """Stage 4 replies with the balance: each step of each user's way up, once.

    Args:
        result: of the load.
        before: ``GET /balances`` before it.
    """
    replied: dict[str, Counter[object]] = {}
    for number, (reply, outcome) in enumerate(zip(result.replies, result.outcomes, strict=True)):
        if isinstance(reply, Reply) and outcome is Outcome.ACCEPTED:
            content = reply.json()
            balance = content.get("balance") if isinstance(content, dict) else None
            replied.setdefault(result.load.user(number), Counter())[balance] += 1
    unknown = result.by_user(Outcome.UNKNOWN)
    differences = []
    for user, balances in sorted(replied.items()):
        steps = range(1, balances.total() + unknown[user] + 1)
        start, amount = before.get(user, 0), result.load.amount
        expected: Counter[object] = Counter(start + step * amount for step in steps)
        if balances - expected:
            differences.append(
                f"{user}: replied balances {[*balances.elements()]}, "
                f"expected {[*expected.elements()]}"
            )
    return differences


def check_sums(stats: Mapping[str, Any]) -> list[str]:
    """The two equations that hold at every instant, and the two bounds."""
    differences = []
    for total, parts in (
        ("received", ("accepted", "rejected", "invalid")),
        ("accepted", ("processed", "failed", "queued", "in_hand", "abandoned")),
    ):
        found = sum(stats[part] for part in parts)
        if stats[total] != found:
            differences.append(f"{total} {stats[total]} is not {' + '.join(parts)} = {found}")
    if stats["stage"] >= 5:
        for what, limit in (("queued", "capacity"), ("in_hand", "workers")):
            if stats[what] > stats[limit]:
                differences.append(f"{what} {stats[what]} is more than {limit} {stats[limit]}")
    return differences


def check_final(final: Mapping[str, Any], exit_status: int) -> list[str]:
    """The last line of a server, and the status it ended with."""
    differences = [f"final: {difference}" for difference in check_sums(final)]
    left = [f"{what} {final[what]}" for what in ("queued", "waiting", "in_hand") if final[what]]
    if left:
        differences.append(f"final: {', '.join(left)}")
    if final["failed"]:
        differences.append(f"final: failed {final['failed']}, expected 0")
    total, processed = final["balances_total"], final["processed_amount"]
    if total != processed:
        differences.append(f"final: balances_total {total} is not processed_amount {processed}")
    expected = JOBS_ABANDONED if final["abandoned"] else NOTHING_LOST
    if exit_status != expected:
        differences.append(
            f"final: exit status {exit_status} with {final['abandoned']} abandoned, "
            f"expected {expected}"
        )
    return differences


def _within(rise: int, known: int, unknown: int, amount: int = 1) -> bool:
    low, high = sorted((known * amount, (known + unknown) * amount))
    return low <= rise <= high


def _interval(known: int, unknown: int, amount: int = 1) -> str:
    low, high = sorted((known * amount, (known + unknown) * amount))
    return f"{low}" if low == high else f"{low} to {high}"
