"""The command line: the ladder, the lessons, and what it says to a wrong word."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support import ROOT

from trio_stages import __version__, cli
from trio_stages.ladder import LADDER, STAGES
from trio_stages.lesson import lesson
from trio_stages.options import Settings, options_of


def test_the_ladder(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert cli.main([]) == 0
    out = capsys.readouterr().out
    for stage in LADDER:
        (line,) = (line for line in out.splitlines() if f"{stage.name}.py" in line)
        assert f" {stage.number} " in line
        assert stage.pain in line
        assert stage.idea in line


def test_the_ladder_is_all_files_in_order() -> None:
    files = sorted((ROOT / "trio_stages" / "stages").glob("stage*.py"))
    assert [stage.file for stage in LADDER] == files
    assert [stage.number for stage in LADDER] == list(range(1, len(files) + 1))
    assert all(stage.name.startswith(f"stage{stage.number:02}_") for stage in LADDER)


@pytest.mark.parametrize("number", STAGES)
def test_a_stage_file_reads_like_its_neighbours(number: int) -> None:
    """The same names in the same order, pain and idea and what still hurts; no import of another.

    That is what makes the diff of two of them a lesson.
    """
    stage = STAGES[number]
    text, module = stage.file.read_text(encoding="utf-8"), stage.load()
    for part in ("\nPain: ", "\nIdea: ", "\nStill hurts: "):
        assert part in (module.__doc__ or "")
    assert "trio_stages.stages" not in text
    wanted = ["DEFAULTS", "handle", *(["worker"] if number >= 5 else []), "serve"]
    assert [name for name in vars(module) if name in wanted] == wanted
    assert len(text.splitlines()) <= 300


def test_the_diff_of_two_stages(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["diff", "5", "6"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("--- stage05_backpressure.py\n+++ stage06_worker_pool.py\n@@ ")
    assert "\n+            for _ in range(settings.workers):\n" in out
    assert "\n-            nursery.start_soon(worker, " in out
    assert out == lesson(STAGES[5], STAGES[6]) + "\n"


@pytest.mark.parametrize("number", list(STAGES)[1:])
def test_each_lesson_can_be_read_at_a_sitting(number: int) -> None:
    lines = lesson(STAGES[number - 1], STAGES[number]).splitlines()
    changed = [line for line in lines if line[0] in "+-"]
    assert 0 < len(changed) <= 140


def test_help_for_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    assert cli.USAGE_TEXT in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize("number", STAGES)
def test_help_for_a_stage(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(number), "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    for option in options_of(number):
        assert f"  {option.flag}" in out
        assert option.variable in out.replace("\n", "").replace(" ", "")


def test_a_stage_gets_its_options_and_its_status_is_the_exit_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run_stage(serve: object, settings: Settings) -> int:
        assert serve is STAGES[6].load().serve
        assert (settings.stage, settings.workers, settings.port) == (6, 2, 9)
        return 3

    monkeypatch.setenv("TRIO_STAGES_PORT", "9")
    monkeypatch.setattr(cli, "run_stage", run_stage)
    assert cli.main(["6", "--workers", "2"]) == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("99", "'99' is neither a stage nor a command; stages are 1 to {last}"),
        ("0", "'0' is neither a stage nor a command; stages are 1 to {last}"),
        ("-1", "'-1' is neither a stage nor a command; stages are 1 to {last}"),
        ("six", "'six' is neither a stage nor a command; stages are 1 to {last}"),
        ("--port 3", "'--port' is neither a stage nor a command; stages are 1 to {last}"),
        ("diff", "diff takes two stages, such as 'diff 5 6'"),
        ("diff 5", "diff takes two stages, such as 'diff 5 6'"),
        ("diff 5 6 7", "diff takes two stages, such as 'diff 5 6'"),
        ("diff 5 x", "'x' is neither a stage nor a command; stages are 1 to {last}"),
        ("6 --nonsense", "--nonsense: no such option; see 'python -m trio_stages 6 --help'"),
        ("5 --workers 2", "--workers: stage 5 has no use for it; stages 6 and up would"),
        ("7 --shards 2", "--shards: --state mutex has none; only sharded has"),
        ("6 --workers x", "--workers: 'x' is not a whole number"),
    ],
)
def test_a_wrong_word_is_told_in_one_line(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"trio_stages: {message}\n".replace("{last}", str(LADDER[-1].number))


def test_ctrl_c_before_the_stage_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run_stage", interrupted)
    assert cli.main(["6"]) == 130


def test_the_lesson_in_colour_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    assert cli.main(["diff", "1", "2"]) == 0
    out = capsys.readouterr().out
    assert "stage02_concurrency.py" in out


@pytest.mark.parametrize("line", ["", "diff 5 6", "--version", "6 --help"])
def test_a_reader_that_has_gone_is_no_traceback(line: str) -> None:
    """As in ``python -m trio_stages diff 5 6 | head -1``."""
    read, write = os.pipe()
    os.close(read)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ended = subprocess.run(
        [sys.executable, "-m", "trio_stages", *line.split()],
        cwd=ROOT,
        env=environment,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
        check=False,
    )
    os.close(write)
    assert ended.stderr == ""
    assert ended.returncode in (0, 1)  # 1 is rich's
