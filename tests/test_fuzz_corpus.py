"""What the fuzzing has found, and the hostile table, against the rules of the fuzz targets.

Above all: what is remembered of a head never changes an answer, nor a byte that is left over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hostile import ROWS, TABLE, Row
from hypothesis import given
from hypothesis import strategies as st
from support_http import NEXT

from fuzz import engines, targets
from fuzz import keep as keeping
from fuzz.engines import CORPUS, SCRAPS
from trio_stages.heads import HeadMemory

if TYPE_CHECKING:
    from pathlib import Path

KEPT = sorted(CORPUS.glob("*/*"))


pytestmark = pytest.mark.untraced


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name[:12]}")
def test_the_corpus(path: Path) -> None:
    targets.TARGETS[path.parent.name](path.read_bytes())


def test_the_corpus_is_there() -> None:
    """So that the test above cannot pass on nothing."""
    assert {path.parent.name for path in KEPT} == targets.TARGETS.keys() == SCRAPS.keys()


@pytest.mark.parametrize("row", TABLE, ids=ROWS)
def test_the_hostile_table(row: Row) -> None:
    targets.framing(row.send + NEXT)


@pytest.fixture(scope="module")
def warm() -> HeadMemory:
    """A memory that has seen the whole table twice."""
    memory = HeadMemory(size=len(TABLE))
    for row in TABLE * 2:
        targets.read([row.send, NEXT], memory, {})
    assert memory.recall(NEXT)
    return memory


@pytest.mark.parametrize("row", TABLE, ids=ROWS)
def test_a_warm_memory_answers_as_an_empty_one(row: Row, warm: HeadMemory) -> None:
    data = row.send + NEXT
    fresh = targets.read([data], HeadMemory(), {})
    assert targets.read([data], warm, {}) == fresh
    assert any(fresh.replies) is not row.unfinished


def soup(target: str) -> st.SearchStrategy[bytes]:
    pieces = st.sampled_from(SCRAPS[target]) | st.binary(max_size=8)
    return st.lists(pieces, max_size=12).map(b"".join)


@given(soup("framing"))
def test_framing(data: bytes) -> None:
    targets.framing(data)


@given(soup("chunks"))
def test_chunks(data: bytes) -> None:
    targets.chunks(data)


@given(soup("events"))
def test_events(data: bytes) -> None:
    targets.events(data)


# The tools


def test_what_breaks_a_rule_is_in_the_corpus_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rule(data: bytes) -> None:
        assert b"chunked" not in data

    monkeypatch.setattr(engines, "CORPUS", tmp_path)
    monkeypatch.setitem(targets.TARGETS, "framing", rule)
    (tmp_path / "framing").mkdir()
    with pytest.raises(AssertionError):
        engines.with_hypothesis("framing", 10)
    (broken,) = (tmp_path / "framing").iterdir()
    assert b"chunked" in broken.read_bytes()


def test_an_input_is_kept_that_leads_somewhere_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for directory in ("CORPUS", "FOUND"):
        monkeypatch.setattr(keeping, directory, tmp_path / directory)
        (tmp_path / directory / "chunks").mkdir(parents=True)
    for number, data in enumerate((b"0\r\n\r\n", b"00\r\n\r\n", b"1\r\nx\r\n0\r\n\r\n", b"x\r\n")):
        (tmp_path / "FOUND" / "chunks" / str(number)).write_bytes(data)
    assert keeping.keep("chunks") == 3
    kept = [path.read_bytes() for path in (tmp_path / "CORPUS" / "chunks").iterdir()]
    assert sorted(kept) == [b"0\r\n\r\n", b"1\r\nx\r\n0\r\n\r\n", b"x\r\n"]
    assert keeping.keep("chunks") == 0
