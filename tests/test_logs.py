"""Logging: a record is a line, whatever a client put into it."""

from __future__ import annotations

import io
import json
import logging
import re
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trio_stages.logs import JsonFormatter, TextFormatter, configure_logging
from trio_stages.options import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT_LINE = re.compile(r"\d\d:\d\d:\d\d\.\d{3} (DEBUG|INFO|WARNING|ERROR) [a-z_0-9]+: .*")
NASTY = {
    "line break": "bob\n12:00:00.000 ERROR server: all is lost",
    "carriage return": "bob\rERROR",
    "escape sequence": "\x1b[2J\x1b[31mred",
    "bell": "\a",
    "8-bit escape sequence": "\x9b31m",
    "other line ends": "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g",
    "from right to left": "\u202egnp.exe",
    "lone surrogate": "\ud800",
    "NUL": "\0",
}


def formatted(formatter: logging.Formatter, message: str, *arguments: object) -> str:
    """What a handler with this formatter would write."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    handler.handle(
        logging.LogRecord("x", logging.WARNING, "server.py", 1, message, arguments, None)
    )
    return stream.getvalue()


@given(st.text(st.characters()))
@example(NASTY["line break"])
def test_text_is_one_printable_line(text: str) -> None:
    line = formatted(TextFormatter(), "hello %s!", text)
    assert line.endswith("!\n")
    assert line[:-1].isprintable()
    assert TEXT_LINE.fullmatch(line[:-1])


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_what_is_not_printable_stays_visible(text: str) -> None:
    line = formatted(TextFormatter(), "%s", text)
    assert line.partition("server: ")[2].encode().decode("unicode_escape") == text + "\n"


def test_what_is_printable_stays_as_it_is() -> None:
    text = r"Zoë 😀 C:\temp 'x' %s"
    assert formatted(TextFormatter(), "%s", text).endswith(f" WARNING server: {text}\n")


@given(st.text(st.characters()))
@example(NASTY["line break"])
def test_json_is_one_object_a_line(text: str) -> None:
    line = formatted(JsonFormatter(), "hello %s!", text)
    assert line[:-1].isascii()
    assert line[:-1].isprintable()
    entry = json.loads(line)
    assert entry.keys() == {"time", "level", "module", "message"}
    assert datetime.fromisoformat(entry["time"]).tzinfo is not None
    assert (entry["level"], entry["module"]) == ("warning", "server")
    assert entry["message"] == f"hello {text}!"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """A logger of the application, with the root logger as a new process has it."""
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging, "raiseExceptions", True)
    level = logging.root.level
    yield logging.getLogger("trio_stages.test")
    logging.root.setLevel(level)


def crash(log: logging.Logger, text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        log.exception("it crashed")


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_no_line_of_an_exception_looks_like_a_record(
    log: logging.Logger, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    configure_logging(Settings(stage=3))
    crash(log, text)
    first, *lines = capsys.readouterr().err.removesuffix("\n").split("\n")
    assert first.endswith("ERROR test_logs: it crashed")
    assert lines
    assert all(line.startswith("  ") and line.isprintable() for line in lines)


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_an_exception_is_part_of_its_object(
    log: logging.Logger, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    configure_logging(Settings(stage=3, log_format="json"))
    crash(log, text)
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert entry["message"] == "it crashed"
    assert entry["exception"].endswith(f"ValueError: {text}")


@pytest.mark.parametrize(
    ("level", "seen"),
    [("debug", "dwe"), ("info", "we"), ("warning", "we"), ("error", "e")],
)
def test_the_level(
    log: logging.Logger, capsys: pytest.CaptureFixture[str], level: str, seen: str
) -> None:
    configure_logging(Settings(stage=3, log_level=level))  # type: ignore[arg-type]
    log.debug("d")
    log.warning("w")
    log.error("e")
    captured = capsys.readouterr()
    assert "".join(line[-1] for line in captured.err.splitlines()) == seen
    assert captured.out == ""


def test_a_broken_stderr_breaks_nothing_else(
    log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    configure_logging(Settings(stage=3))
    stderr.close()
    log.error("nobody hears this")
