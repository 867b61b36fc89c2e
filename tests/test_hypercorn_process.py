"""Hypercorn as a process: behind our own command, and as the command of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from support import PATIENCE_S, ROOT, exchange, request, spawned

from trio_stages import cli, runner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.mark.parametrize("stage", [5, 10])
def test_two_lines_on_stdout_and_the_usual_status(stage: int) -> None:
    """Five jobs of 50 ms: stage 5 loses what is queued, and says so; stage 10 does them."""
    options = ["--work-ms", "50", *(["--workers", "1", "--hold-ms", "0"] if stage == 10 else [])]
    with spawned(stage, "--server", "hypercorn", *options) as process:
        assert process.first_line == f"stage {stage} listening on http://127.0.0.1:{process.port}\n"
        posts = [*[request()] * 4, request(close=True)]
        assert [each.status for each in exchange(process.port, b"".join(posts))] == [202] * 5
        ended = process.stop(signal.SIGTERM)
    final = ended.final
    assert len(ended.stdout) == 2
    assert final["config"]["server"] == "hypercorn"
    assert final["accepted"] == 5 == final["processed"] + final["abandoned"]
    assert final["balances_total"] == 100 * final["processed"]
    if stage == 10:
        assert (ended.status, final["abandoned"]) == (0, 0)
        assert 0 < final["drained"] <= 5
    else:
        assert ended.status == 3
        assert "drained" not in final
    assert "Traceback" not in ended.stderr


CRASHES = """
import sys
import trio_stages.stages.stage10_shutdown as stage
from trio_stages.cli import main
async def heartbeat():
    raise ZeroDivisionError
stage.heartbeat = heartbeat
sys.exit(main())
"""


def test_the_status_of_a_stage_that_crashed() -> None:
    with spawned(10, "--server", "hypercorn", code=CRASHES) as process:
        ended = process.wait()
    assert ended.status == 1
    assert "stage 10 ended by an error of its own" in ended.stderr


def test_without_hypercorn_it_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def find_spec(name: str) -> None:
        assert name == "hypercorn"

    monkeypatch.setattr(runner, "find_spec", find_spec)
    monkeypatch.setattr(runner, "configure_logging", lambda settings: None)
    monkeypatch.setattr(runner, "bind", pytest.fail)
    assert cli.main(["10", "--server", "hypercorn", "--port", "0"]) == runner.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "trio_stages: --server: hypercorn is not installed; pip install 'trio-stages[asgi]'"
    ]


# ``hypercorn -k trio trio_stages.asgi:app``

PROBE = """
import json
from trio_stages.asgi import app as hosted
async def app(scope, receive, send):
    await hosted(scope, receive, send)
    if scope["type"] == "lifespan":
        print(json.dumps(hosted._application.telemetry.final()), flush=True)
"""


@contextmanager
def hypercorn_command(application: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "hypercorn", "-k", "trio", "-b", "127.0.0.1:0", application]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # its worker is a child of its own
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def port_of(process: subprocess.Popen[str]) -> int:
    assert process.stderr is not None
    for line in process.stderr:
        if "Running on http://" in line:
            return int(line.partition("127.0.0.1:")[2].split()[0])
    raise AssertionError("it did not start")


def test_the_command_starts_it_and_drains_it(tmp_path: Path) -> None:
    """Through a module that prints the final figures, which the command has no line for."""
    (tmp_path / "probe.py").write_text(PROBE)
    with hypercorn_command(
        "probe:app",
        PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]),
        TRIO_STAGES_STAGE="10",
        TRIO_STAGES_WORKERS="1",
        TRIO_STAGES_WORK_MS="50",
        TRIO_STAGES_HOLD_MS="0",
    ) as process:
        port = port_of(process)
        *accepted, stats = exchange(
            port, request() * 10 + request("GET", "/stats", b"", close=True)
        )
        assert [reply.status for reply in accepted] == [202] * 10
        assert stats.json["config"]["workers"] == 1
        assert stats.json["queued"] > 0
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    final = json.loads(out)
    assert final["accepted"] == final["processed"] == 10
    assert final["drained"] > 0
    assert "Traceback" not in err


def test_the_command_does_not_start_what_is_no_stage() -> None:
    with hypercorn_command("trio_stages.asgi:app", TRIO_STAGES_STAGE="2") as process:
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode != 0 or "LifespanFailureError" in err
    assert "TRIO_STAGES_STAGE: '2' is no stage from 3 to 10" in err
