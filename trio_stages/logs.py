"""Logging on stderr: a line of text or of JSON for each record, whatever a client put into it."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from .options import Settings

    ExcInfo = (
        tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    )


def configure_logging(settings: Settings) -> None:
    """Send all records of the chosen level and above to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    # A full disk or a closed pipe behind stderr must not add a traceback for each record lost.
    logging.raiseExceptions = False


class TextFormatter(logging.Formatter):
    """``12:00:01.234 WARNING heartbeat: …``; a client's line breaks and escapes stay visible."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s.%(msecs)03d %(levelname)s %(module)s: %(message)s", datefmt="%H:%M:%S"
        )

    def formatMessage(self, record: logging.LogRecord) -> str:
        return _visible(super().formatMessage(record))

    def formatException(self, exc_info: ExcInfo) -> str:
        # An exception may quote a client too. Indented, so that no line of it looks like a record.
        lines = super().formatException(exc_info).split("\n")
        return "\n".join("  " + _visible(line) for line in lines)


def _visible(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in line
    )


class JsonFormatter(logging.Formatter):
    """One object a line: ``time`` (ISO 8601, with offset), ``level``, ``module``, ``message``."""

    def __init__(self) -> None:
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%S%z")

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": self.formatTime(record, self.datefmt),
            "level": record.levelname.lower(),
            "module": record.module,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)
