"""The hostile table against our own server and against Hypercorn, stages 3 and 8.

Each row goes over a connection of its own, a good request of a neighbour in the same write behind
it, and afterwards another client is served. The books are compared after each row, and on our
server after each step of each task.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hostile import ACCEPTED, DIFFERENCES, ROWS, TABLE, UNCERTAIN, Row
from hostile_hosts import Host, barely, converse, counted, replies
from support import ROOT, event, request

if TYPE_CHECKING:
    from collections.abc import Iterator

NEIGHBOUR = request(body=event("neighbour", 1), close=True)
NEWCOMER = request(body=event("newcomer", 1), close=True)
#: Row → why it goes otherwise on Hypercorn.
DIFFERING = {row: why for why, rows in DIFFERENCES.items() for row in rows}


@pytest.fixture(scope="module")
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    host = Host(*request.param)
    yield host
    host.stop()


def on(name: str) -> pytest.MarkDecorator:
    hosts = [(name, stage) for stage in (3, 8)]
    return pytest.mark.parametrize("host", hosts, ids="{0[0]}-stage{0[1]}".format, indirect=True)


def all_replies(row: Row) -> list[str]:
    """To the row and its neighbour, as it should be."""
    return [*row.replies, *[ACCEPTED] * row.lives]


@on("ours")
@pytest.mark.parametrize("row", TABLE, ids=ROWS)
def test_row(host: Host, row: Row) -> None:
    before = host.counts()
    received = converse(host.port, row.send + NEIGHBOUR, end=row.unfinished)
    newcomer = replies(converse(host.port, NEWCOMER))
    after = host.counts()
    after.subtract(before)
    said = replies(received, to_head=row.to_head)
    assert said == all_replies(row)
    assert newcomer == [ACCEPTED]
    assert after == counted([*said, ACCEPTED], bare=())


@on("hypercorn")
@pytest.mark.parametrize("row", TABLE, ids=ROWS)
def test_row_on_hypercorn(host: Host, row: Row) -> None:
    why = DIFFERING.get(row.name, "")
    waits = why in ("Chunks of any size are waited for", "HTTP/2 and WebSocket")
    before = host.counts()
    received = converse(host.port, row.send + NEIGHBOUR, end=row.unfinished or waits)
    newcomer = replies(converse(host.port, NEWCOMER))
    after = host.counts()
    after.subtract(before)
    said = replies(received, to_head=row.to_head)
    assert newcomer == [ACCEPTED]
    if not why:
        assert said in (all_replies(row), barely(all_replies(row)))
    elif DIFFERENCES[why][row.name] != UNCERTAIN:
        assert said == list(DIFFERENCES[why][row.name])
    if why != "Bytes behind the last request":  # which was answered, and counted; h11 came first
        assert after == counted([*said, ACCEPTED])


def test_the_differences_are_some() -> None:
    for rows in DIFFERENCES.values():
        for name, said in rows.items():
            assert list(said) != all_replies(ROWS[name])


def test_the_differences_are_in_the_docs() -> None:
    page = (ROOT / "docs" / "hypercorn.md").read_text("utf-8")
    listed = re.findall(r"^\| \*\*(.+?)\*\* \|", page, re.MULTILINE)
    assert set(DIFFERENCES) <= set(listed)
