"""The inline markup of a report: `code`, **bold** and [text](address), everything else is text.

Rules of this file:

1. Whatever comes in goes out escaped: there is no way to write a tag.
2. An address begins with one of ``SCHEMES`` or names a place in the same folder; any other, such as
   ``javascript:``, is left standing as the text that it is.
"""

from __future__ import annotations

import re
from html import escape

SCHEMES = ("https://", "http://", "#")
RELATIVE = re.compile(r"[\w.-][\w./#-]*")  # no colon, so no scheme

_MARK = re.compile(
    r"`(?P<code>[^`]+)`"
    r"|\*\*(?P<bold>.+?)\*\*"
    r"|\[(?P<text>[^\]]+)\]\((?P<address>(?:[^()\s]|\([^()\s]*\))+)\)",
    re.DOTALL,
)


def as_html(text: str) -> str:
    """Turn ``text`` with inline markup into escaped HTML."""
    parts, end = [], 0
    for mark in _MARK.finditer(text):
        parts.append(escape(text[end : mark.start()]))
        parts.append(_element(mark))
        end = mark.end()
    parts.append(escape(text[end:]))
    return "".join(parts)


def as_markdown(text: str) -> str:
    """``text`` for a Markdown file, where its markup is the same, and a tag would be a tag."""
    parts, end = [], 0
    for mark in _MARK.finditer(text):
        parts.append(text[end : mark.start()].replace("<", r"\<"))
        kept = mark[0] if mark["code"] else mark[0].replace("<", r"\<")
        parts.append(rf"\{kept}" if mark["address"] and not _leads(mark["address"]) else kept)
        end = mark.end()
    parts.append(text[end:].replace("<", r"\<"))
    return "".join(parts)


def as_text(text: str) -> str:
    """``text`` without its markup, as it goes into an attribute or a terminal."""
    return _MARK.sub(lambda mark: next(t for t in mark.group("code", "bold", "text") if t), text)


def _element(mark: re.Match[str]) -> str:
    if code := mark["code"]:
        return f"<code>{escape(code)}</code>"
    if bold := mark["bold"]:
        return f"<strong>{as_html(bold)}</strong>"
    address = mark["address"]
    if not _leads(address):
        return escape(mark[0])
    return f'<a href="{escape(address)}">{as_html(mark["text"])}</a>'


def _leads(address: str) -> bool:
    return address.startswith(SCHEMES) or RELATIVE.fullmatch(address) is not None
