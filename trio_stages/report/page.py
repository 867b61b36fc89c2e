"""A report: sections of paragraphs, tables, figures, verdicts and code, as HTML or as Markdown.

Rules of the HTML:

1. One file: nothing is fetched, no script runs. It can be mailed and opened years later.
2. All text is escaped; the SVG of a ``Figure`` is the only thing that is believed, so it must come
   from ``plots``.
3. The page never scrolls sideways: what is wide scrolls inside its own box.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, TypeAlias

from .inline import as_html, as_markdown, as_text
from .looks import STYLE
from .tables import Table
from .verdicts import CLASSES, COUNTED, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A plot and what it says.

    Attributes:
        svg: a complete ``<svg …>`` with a ``viewBox``, from ``plots``.
        caption: what to see in it; may carry inline markup.
        alt: the same for whoever cannot see it.
    """

    svg: str
    caption: str
    alt: str

    def html(self) -> str:
        """The plot as wide as there is room."""
        caption = f"<figcaption>{as_html(self.caption)}</figcaption>" if self.caption else ""
        return (
            f'<figure><div role="img" aria-label="{escape(self.alt)}">{self.svg}</div>'
            f"{caption}</figure>"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Code or a command, as it stands.

    Attributes:
        text: its lines.
        language: for a Markdown reader that colours it.
        caption: a sentence above it; may carry inline markup.
    """

    text: str
    language: str = "python"
    caption: str = ""

    def html(self) -> str:
        """A block that scrolls sideways by itself."""
        caption = f'<p class="caption">{as_html(self.caption)}</p>' if self.caption else ""
        return f'{caption}<pre tabindex="0"><code>{escape(self.text.rstrip())}</code></pre>'

    def markdown(self) -> str:
        """A block between fences longer than any in it."""
        longest = max((len(run) for run in re.findall("`+", self.text)), default=0)
        fence = "`" * max(3, longest + 1)
        caption = f"{as_markdown(self.caption)}\n\n" if self.caption else ""
        return f"{caption}{fence}{self.language}\n{self.text.rstrip()}\n{fence}"


Block: TypeAlias = str | Table | Figure | Verdict | Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands under it.

    Attributes:
        title: the heading.
        blocks: in reading order; a str is a paragraph with inline `code`, **bold**, [link](url).
        anchor: its address within the page; empty: made from the title.
        part: sections of one part that follow each other stand together under its name.
    """

    title: str
    blocks: tuple[Block, ...]
    anchor: str = ""
    part: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A whole report.

    Attributes:
        title: its heading.
        intro: a paragraph, with inline markup.
        stamp: on what and with what it was made, see ``machine``.
        sections: in reading order.
    """

    title: str
    intro: str
    stamp: Mapping[str, str] = field(default_factory=dict)
    sections: tuple[Section, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All of them in reading order, as ``markdown`` counts them."""
        return tuple(
            block
            for section in self.sections
            for block in section.blocks
            if isinstance(block, Figure)
        )

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """All of them in reading order."""
        return tuple(
            block
            for section in self.sections
            for block in section.blocks
            if isinstance(block, Verdict)
        )

    def html(self) -> str:
        """One self-contained file, light and dark, for a desktop and for a phone."""
        anchors = list(_anchors(self.sections))
        contents, sections, part = [], [], ""
        for section, anchor in zip(self.sections, anchors, strict=True):
            if section.part != part:
                part = section.part
                contents.append(f'<li class="part">{escape(part)}</li>')
                sections.append(f'<p class="part">{escape(part)}</p>')
            contents.append(
                f'<li><a href="#{anchor}">{escape(section.title)}</a>{_marks(section)}</li>'
            )
            sections.append(
                f'<section id="{anchor}">\n'
                f'<h2><a href="#{anchor}">{escape(section.title)}</a></h2>\n'
                + "\n".join(_html(block) for block in section.blocks)
                + "\n</section>"
            )
        stamp = "\n".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
            for name, value in self.stamp.items()
        )
        return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(self.title)}</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{escape(self.title)}</h1>
<p class="intro">{as_html(self.intro)}</p>
{self._tally()}<dl class="stamp">
{stamp}
</dl>
</header>
<nav aria-label="Contents">
<ul>
{_lines(contents)}
</ul>
</nav>
<main>
{_lines(sections)}
</main>
</body>
</html>
"""

    def markdown(self, figure_name: Callable[[int], str] | None = None) -> str:
        """The same for a repository or an issue.

        Args:
            figure_name: gives the file name of the figure with that index in ``figures``; the
                caller writes those files. None: each figure's place is taken by what it shows.
        """
        numbers = {id(figure): index for index, figure in enumerate(self.figures)}

        def block_text(block: Block) -> str:
            if isinstance(block, str):
                return as_markdown(block)
            if not isinstance(block, Figure):
                return block.markdown()
            if figure_name is None:
                return f"*Figure: {as_markdown(block.alt)}*"
            name = figure_name(numbers[id(block)])
            alt = re.sub(r"[\[\]<>]", "", as_text(block.alt))
            image = f"![{alt}]({name})"
            return f"{image}\n\n{as_markdown(block.caption)}" if block.caption else image

        parts = [f"# {as_markdown(self.title)}", as_markdown(self.intro)]
        if self.stamp:
            parts.append(
                as_markdown("; ".join(f"{name} {value}" for name, value in self.stamp.items()))
            )
        part, level = "", "##"
        for section in self.sections:
            if section.part != part:
                part, level = section.part, "###" if section.part else "##"
                parts += [f"## {as_markdown(part)}"] if part else []
            anchor = f'<a id="{escape(section.anchor)}"></a>\n\n' if section.anchor else ""
            parts.append(f"{anchor}{level} {as_markdown(section.title)}")
            parts += [block_text(block) for block in section.blocks]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _tally(self) -> str:
        counts = Counter(verdict.holds for verdict in self.verdicts)
        marks = "".join(
            f'<span class="{CLASSES[holds]}"><b>{counts[holds]}</b> {word}</span>'
            for holds, word in COUNTED.items()
            if counts[holds]
        )
        return f'<p class="tally">{marks}</p>\n' if marks else ""


def _lines(parts: list[str]) -> str:
    return "\n".join(parts)


def _html(block: Block) -> str:
    return f"<p>{as_html(block)}</p>" if isinstance(block, str) else block.html()


def _marks(section: Section) -> str:
    # A reader who looks for what went wrong finds it in the contents.
    failed = sum(isinstance(b, Verdict) and b.holds is False for b in section.blocks)
    return f' <span class="fails">{failed} not</span>' if failed else ""


def _anchors(sections: tuple[Section, ...]) -> Iterator[str]:
    taken: set[str] = set()
    for section in sections:
        wanted = section.anchor or section.title
        base = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-") or "section"
        anchor, number = base, 1
        while anchor in taken:
            number += 1
            anchor = f"{base}-{number}"
        taken.add(anchor)
        yield anchor
