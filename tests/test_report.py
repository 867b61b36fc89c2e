"""The parts of a report: escaped, self-contained, the same for the same figures."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
import rich.console

from trio_stages.report import (
    COLOURS,
    Code,
    Figure,
    Page,
    Section,
    Table,
    Verdict,
    alone,
    machine,
    panels,
    svg,
)
from trio_stages.report.inline import as_html, as_markdown, as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

EVIL = '<script>alert("1")</script> & `code` **bold** | [x](javascript:alert(1))'
VOID = {"meta", "link", "br", "img"}


class Tree(HTMLParser):
    """A reader of HTML that insists on every element being closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def line(axes: Axes) -> None:
    axes.plot([0, 1, 2], [0, 5, 20], color=COLOURS["measured"], marker="o")
    axes.text(1, 5, "a < b & $c$")


def two(axes: Sequence[Axes]) -> None:
    for one in axes:
        line(one)


@pytest.fixture(scope="module")
def plot() -> str:
    return svg(line, title="Queue depth", xlabel="time, s", ylabel="jobs")


@pytest.fixture(scope="module")
def page(plot: str) -> Page:
    other = panels(two, rows=2, share_x=True)
    blocks = (
        EVIL,
        Table(columns=("a", EVIL), rows=((EVIL, "1"),), caption=EVIL),
        Figure(svg=plot, caption=EVIL, alt=EVIL),
        Figure(svg=other, caption="", alt="the same twice"),
        Verdict(claim=EVIL, holds=False, measured=EVIL),
        Verdict(claim="a claim", holds=True, measured="1 of 1"),
        Verdict(claim="another", holds=True, measured="2 of 2"),
        Code(text=EVIL + "\n````", language="text", caption=EVIL),
    )
    return Page(
        title=EVIL,
        intro=EVIL,
        stamp={"python": EVIL},
        sections=(
            Section(title="The queue", blocks=blocks),
            Section(title="The queue", blocks=()),
            Section(title="…", blocks=(), anchor="own-one"),
        ),
    )


def test_a_page_shows_markup_from_outside_as_text(page: Page) -> None:
    tree = Tree(page.html())
    assert not [tag for tag, _ in tree.tags if tag == "script"]
    assert "".join(tree.texts).count('<script>alert("1")</script>') >= 9
    assert not [
        (tag, name)
        for tag, attributes in tree.tags
        for name, value in attributes.items()
        if name.startswith("on") or (name == "href" and "javascript:" in (value or ""))
    ]


def test_a_page_fetches_nothing(page: Page) -> None:
    for tag, attributes in Tree(page.html()).tags:
        assert "src" not in attributes, tag
        for name in ("href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:,")), tag
    assert "@import" not in page.html()
    assert not re.search(r"url\((?!#)", page.html())


def test_the_contents_lead_to_every_section_and_ids_are_unique(page: Page) -> None:
    tags = Tree(page.html()).tags
    ids = [str(attributes["id"]) for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"the-queue", "the-queue-2", "own-one"} <= set(ids)
    targets = {
        (attributes.get("href") or attributes.get("xlink:href") or "")[1:]
        for tag, attributes in tags
        if tag in ("a", "use")
    }
    assert targets <= set(ids)
    clips = re.findall(r"url\(#([^)]+)\)", page.html())
    assert clips
    assert set(clips) <= set(ids)


def test_a_page_counts_its_verdicts(page: Page) -> None:
    text = page.html()
    assert "<b>2</b> hold<" in text
    assert "<b>1</b> do not hold here<" in text
    assert "not observed" not in text
    assert '<span class="fails">1 not</span>' in text  # the contents say where


def test_a_page_as_markdown(page: Page) -> None:
    text = page.markdown(lambda index: f"plots/{index}.svg")
    assert r"\<script>" in text
    prose, _, code = text.partition("`````text")
    assert "<script>" not in prose.replace(r"\<script>", "")
    assert code.startswith(f"\n{EVIL}\n````\n`````\n")  # longer than the fence in it
    assert "](plots/0.svg)" in text
    assert "![the same twice](plots/1.svg)" in text
    without = page.markdown()
    assert "svg" not in without
    assert "*Figure: the same twice*" in without


def test_inline_markup() -> None:
    assert as_html("a `<b>` **c `d`**") == (
        "a <code>&lt;b&gt;</code> <strong>c <code>d</code></strong>"
    )
    for address in ("https://example.org/?a=1&b", "#here", "plots/1.svg"):
        assert f'<a href="{address.replace("&", "&amp;")}">x</a>' == as_html(f"[x]({address})")
    assert "<a" not in as_html("[x](JavaScript:alert(1)) [x](data:text/html,1) [x](//a.b)")
    assert as_text("a `b` **c** [d](#e)") == "a b c d"
    assert as_markdown("[x](javascript:alert(1))") == r"\[x](javascript:alert(1))"
    assert as_markdown("a < `b < c` **d < e**") == r"a \< `b < c` **d \< e**"


def test_a_table_for_three_readers() -> None:
    table = Table(columns=("who", "jobs/s"), rows=(("a|b [red]", "1,455"),), caption="`c`")
    assert table.sides == "lr"
    assert table.markdown().splitlines() == [
        "`c`",
        "",
        "| who | jobs/s |",
        "| :-- | --: |",
        r"| a\|b \[red\] | 1,455 |",
    ]
    assert '<td class="r">1,455</td>' in table.html()
    Tree(table.html())
    console = rich.console.Console(width=60, color_system=None)
    with console.capture() as capture:
        console.print(table.rich())
    assert "a|b [red]" in capture.get()  # no markup of rich's


def test_a_long_table_opens_on_demand() -> None:
    rows = tuple((str(number), "x") for number in range(60))
    text = Table(columns=("n", "x"), rows=rows, caption="All of `it`").html()
    assert text.startswith('<details><summary class="caption">All of <code>it</code> (60 rows)<')
    Tree(text)
    assert "<details" not in Table(columns=("n", "x"), rows=rows[:10]).html()


@pytest.mark.parametrize(
    ("rows", "align"), [((("1",),), ""), ((("1", "2"),), "l"), ((("1", "2"),), "lx")]
)
def test_a_table_that_does_not_fit(rows: tuple[tuple[str, ...], ...], align: str) -> None:
    with pytest.raises(ValueError, match="2 columns"):
        Table(columns=("a", "b"), rows=rows, align=align)


def test_verdicts_say_what_they_are_in_words() -> None:
    texts = {
        holds: Verdict(claim="c", holds=holds, measured="m").text() for holds in (True, False, None)
    }
    assert texts == {
        True: "holds: m",
        False: "does not hold here: m",
        None: "not observed: m",
    }
    html = Verdict(claim="c", holds=None, measured="m").html()
    assert "not observed" in html
    assert 'class="verdict unseen"' in html


def test_a_plot_is_the_same_for_the_same_figures(plot: str) -> None:
    again = svg(line, title="Queue depth", xlabel="time, s", ylabel="jobs")
    assert again == plot
    assert svg(line, title="Another") != plot


def test_a_plot_fits_a_page_and_takes_its_colours(plot: str) -> None:
    root = ElementTree.fromstring(plot)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("viewBox") == "0 0 504 259.2"
    assert root.get("width") is None
    assert root.get("height") is None
    assert "currentColor" in plot
    assert "#010203" not in plot
    assert "fill: #ffffff" not in plot
    texts = {"".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"Queue depth", "time, s", "jobs", "a < b & $c$"} <= texts
    assert "matplotlib.org" not in plot


def test_a_plot_in_a_file_of_its_own_has_a_paper(plot: str) -> None:
    ElementTree.fromstring(alone(plot))
    assert "background" in alone(plot)
    assert "background" not in plot  # a page has one


def test_a_long_title_is_folded_evenly() -> None:
    title = "A title of so many words that it can not stand on one line above its plot"
    words = [
        "".join(text.itertext())
        for text in ElementTree.fromstring(svg(line, title=title)).iter()
        if text.tag.endswith("text")
    ]
    lines = [text for text in words if text and text in title]
    assert " ".join(lines) == title
    assert max(map(len, lines)) - min(map(len, lines)) < 8


def luminance(colour: str) -> float:
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("role", COLOURS)
def test_colours_stand_out_from_light_and_from_dark(role: str) -> None:
    """WCAG 2.2 asks 3 : 1 of graphics."""
    colour = luminance(COLOURS[role])
    for paper in ("#fdfdfc", "#14171a"):
        dark, light = sorted((colour, luminance(paper)))
        assert (light + 0.05) / (dark + 0.05) >= 3


def test_without_matplotlib_a_plot_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'trio-stages\[report\]'"):
        svg(line)


def test_tables_and_pages_do_without_matplotlib() -> None:
    code = "import sys, trio_stages.report; print('matplotlib' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "False\n"


def test_the_machine_is_described_but_not_named() -> None:
    facts = machine()
    assert facts["python"].startswith(f"CPython {platform.python_version()}, ")
    assert {"trio", "h11", "pydantic", "cores", "system"} <= facts.keys()
    assert platform.node() not in " ".join(facts.values())
    assert "/" not in " ".join(facts.values())
