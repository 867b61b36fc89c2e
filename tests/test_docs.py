"""The pages say what is so: commands parse, links lead somewhere, computed figures are computed."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from trio_stages import cli, replies
from trio_stages.compare.costs import Costs
from trio_stages.compare.results import CompareResults
from trio_stages.ladder import LADDER, STAGES, Stage
from trio_stages.model import predicted_accepted, service_rate_per_s
from trio_stages.options import LAST_STAGE, OPTIONS, Settings, parse_settings
from trio_stages.telemetry import Telemetry

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
CLIENTS = {"bench", "garbage", "lab", "pairs", "slow", "soak", "stress"}

CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```(?:diff|python)\n.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
INCLUDE = re.compile(r"^(?:```\{literalinclude\}|:diff:) (\S+)$", re.MULTILINE)
NAMED_IN = re.compile(r"`(\w+)` in \[`[^`]+`\]\(([^)]+)\)")


def page_of(stage: Stage) -> Path:
    return DOCS / "stages" / f"stage{stage.number:02}.md"


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def commands(text: str) -> list[str]:
    """What a page tells its reader to type, comments included."""
    lines = "".join(CONSOLE.findall(text)).splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def simple_commands(line: str) -> list[list[str]]:
    """A line of shell as the commands between its operators, without redirections and comments."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    simple: list[list[str]] = [[]]
    redirects = False
    for word in lexer:
        if set(word) <= set("<>"):
            redirects = True
        elif set(word) <= set("();&|"):
            simple.append([])
        elif redirects:
            redirects = False
        else:
            simple[-1].append(word)
    return simple


def of_ours() -> list[list[str]]:
    """The words behind ``python -m``, for our own programs, each command once."""
    found = {
        tuple(words[2:]): None
        for page in PAGES
        for line in commands(page.read_text("utf-8"))
        for words in simple_commands(line)
        if words[:2] == ["python", "-m"]
    }
    return [list(words) for words in found]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_console_block_has_a_command(page: Path) -> None:
    blocks = CONSOLE.findall(page.read_text("utf-8"))
    assert all(block.startswith("$ ") for block in blocks)


@pytest.mark.parametrize("words", of_ours(), ids=" ".join)
def test_commands_are_understood(
    words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program, arguments = words[0], words[1:]
    package, _, client = program.partition(".")
    if program == "trio_stages" and arguments[:1] == ["compare"]:
        monkeypatch.setattr("trio_stages.compare.command.run_all", no_cells)
        monkeypatch.setattr("trio_stages.compare.costs.command.measure", no_costs)
        monkeypatch.chdir(tmp_path)
        assert cli.main(arguments) == 0
    elif package == "trio_stages" and not client:
        monkeypatch.setattr(cli, "run_stage", lambda serve, settings: 0)
        assert cli.main(arguments) == 0
    elif package == "clients":
        assert client in CLIENTS
        monkeypatch.setattr("clients.command.run", lambda command: 0)
        module = importlib.import_module(program)
        if hasattr(module, "__path__"):
            module = importlib.import_module(f"{program}.__main__")
        assert module.main(arguments) == 0
        if "--" in arguments:
            options = arguments[arguments.index("--") + 1 :]
            settings_of(STAGES[int(arguments[0])], options)
    else:
        assert importlib.util.find_spec(program) is not None


async def no_cells(*arguments: object) -> CompareResults:
    """In the place of what runs the cells of a comparison."""
    return CompareResults(stamps=(), cells=())


def no_costs(**options: object) -> Costs:
    """In the place of what measures its costs."""
    return Costs(stamp={}, rounds=1, runs=())


def settings_of(stage: Stage, options: list[str]) -> Settings:
    return parse_settings(stage.number, stage.load().DEFAULTS, options, {})


def test_the_pages_show_commands() -> None:
    """So that the test above cannot pass on nothing."""
    programs = {words[0] for words in of_ours()}
    assert {"trio_stages", "clients.slow", "clients.garbage", "clients.stress"} <= programs


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_and_inclusions_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    targets = LINK.findall(CODE.sub("", text)) + INCLUDE.findall(text)
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_patterns_are_in_the_files_that_the_map_names() -> None:
    rows = NAMED_IN.findall((DOCS / "patterns.md").read_text("utf-8"))
    assert len(rows) > 20
    for pattern, target in rows:
        code = (DOCS / target).read_text("utf-8")
        assert re.search(rf"\b{pattern}\b", code), f"no {pattern} in {target}"


@pytest.mark.parametrize("stage", LADDER, ids=lambda stage: stage.name)
def test_every_stage_has_a_page_with_its_code_and_its_diff(stage: Stage) -> None:
    page = page_of(stage)
    assert page.is_file(), f"{stage.name} has no page"
    text = page.read_text("utf-8")
    assert text.startswith(f"# Stage {stage.number}: ")
    included = {(page.parent / target).resolve() for target in INCLUDE.findall(text)}
    expected = {stage.file}
    if stage.number > 1:
        expected.add(STAGES[stage.number - 1].file)
        assert "\n:diff: " in text
    assert expected <= included
    for section in ("The problem", "The idea", "The code", "Try it", "What was learned"):
        assert f"\n## {section}\n" in text, section
    assert "\n## What still hurts\n" in text
    assert f"$ python -m trio_stages {stage.number}" in text


def test_the_front_page_has_every_page_with_its_pain() -> None:
    text = (DOCS / "index.md").read_text("utf-8").replace("`", "")
    for stage in LADDER:
        if not page_of(stage).is_file():  # the test above says so
            continue
        row = f"| [{stage.number}](stages/{page_of(stage).name}) | {stage.pain} | {stage.idea} |"
        assert row in text


def test_the_interface_has_every_option() -> None:
    heading = "| option | default | stages | what it is |"
    rows = {row[0]: row[1:3] for row in rows_of("../interface.md", 4, heading)}
    assert [*rows] == [f"`{option.flag}`" for option in OPTIONS]
    stages = {(1, LAST_STAGE): "all", (4, 4): "4", (10, LAST_STAGE): "10"}
    of_settings = {each.name: each.default for each in fields(Settings)}
    for option in OPTIONS:
        default, of = rows[f"`{option.flag}`"]
        assert of == stages.get((option.first_stage, option.last_stage), f"{option.first_stage}+")
        if default != "by stage" and option.name != "shards":
            expected = of_settings[option.name]
            text = f"{expected:g}" if isinstance(expected, float) else str(expected)
            assert default == ("" if expected is False else text)


def test_the_interface_has_the_defaults_of_every_stage() -> None:
    heading = "| stage | `--work-ms` | `--hold-ms` | `--capacity` | `--workers` | `--state` |"
    names = ("work_ms", "hold_ms", "capacity", "workers", "state")
    rows = rows_of("../interface.md", 6, heading)
    for stages, *defaults in rows:
        first, _, last = stages.partition(" to ")
        for number in range(int(first), int(last or first) + 1):
            of = STAGES[number].load().DEFAULTS
            shown = [f"{of[name]:g}" if name.endswith("_ms") else str(of[name]) for name in of]
            assert dict(zip(names, defaults, strict=True)) == dict.fromkeys(names, "") | dict(
                zip(of, shown, strict=True)
            )
    assert rows[-1][0].endswith(str(LADDER[-1].number))


def test_the_interface_has_every_reason_and_every_figure() -> None:
    text = (DOCS / "interface.md").read_text("utf-8")
    told = [each for each in vars(replies).values() if isinstance(each, replies.Reply)]
    reasons = {each.reason for each in told} - {""} | {"server_busy", "shutting_down"}
    figures = Telemetry(Settings(stage=10)).stats()
    assert [word for word in (*reasons, "invalid_json", *figures) if f"`{word}`" not in text] == []


def rows_of(page: str, columns: int, heading: str) -> list[list[str]]:
    """The rows of the table with this heading line, without bold type."""
    lines = (DOCS / "stages" / page).read_text("utf-8").splitlines()
    start = lines.index(heading) + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        cells = [cell.strip(" *×") for cell in line.strip("|").split("|")]
        assert len(cells) == columns
        rows.append(cells)
    return rows


def test_the_sweep_of_stage_7_is_the_models() -> None:
    heading = "| workers | workers ÷ 110 ms | 1 ÷ 10 ms | the lower: jobs/s | drain, as measured |"
    rows = rows_of("stage07.md", 5, heading)
    assert [row[0] for row in rows] == ["1", "4", "16", "64"]
    for workers, pool, lock, lower, _ in rows:
        assert pool == f"{service_rate_per_s(int(workers), 0.1, 0.01, one_lock=False):.1f}"
        assert lock == "100"
        rate = f"{service_rate_per_s(int(workers), 0.1, 0.01, one_lock=True):.1f}"
        assert lower == rate.removesuffix(".0")


def test_the_factors_of_stage_8_are_the_models() -> None:
    rows = rows_of(
        "stage08.md", 6, "| capacity | work + hold, ms | locks | rate, jobs/s | accepted | |"
    )
    assert len(rows) == 6
    first = float(rows[0][4])
    for capacity, times, locks, rate, accepted, factor in rows:
        work_s, hold_s = (float(ms) / 1000 for ms in times.split("+"))
        per_s = service_rate_per_s(16, work_s, hold_s, one_lock=locks == "one")
        assert rate == f"{per_s:.0f}"
        jobs = predicted_accepted(5000, int(capacity), 16, per_s, 0.4, work_s, hold_s)
        assert accepted == f"{jobs:.0f}"
        assert factor == f"{float(accepted) / first:.1f}"
