"""The wheel: the package and nothing else, and it runs far from the checkout."""

import os
import subprocess
import sys
from importlib.metadata import PathDistribution
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(build, cwd=ROOT, check=True)
    (wheel,) = directory.iterdir()
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the wheel in it, as an installer would leave it."""
    directory = tmp_path_factory.mktemp("site")
    with ZipFile(wheel) as archive:
        archive.extractall(directory)
    return directory


def metadata(installed: Path) -> PathDistribution:
    (directory,) = installed.glob("*.dist-info")
    return PathDistribution(directory)


def test_the_wheel_is_the_package_byte_for_byte(wheel: Path) -> None:
    """So what the tests show of the checkout holds for what is installed."""
    with ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        packed = {name: archive.read(name) for name in names}
    package = ROOT / "trio_stages"
    sources = [package / "py.typed", *package.rglob("*.py")]
    assert packed == {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in sources}


def test_the_metadata(installed: Path) -> None:
    about = metadata(installed).metadata
    assert about["Name"] == "trio-stages"
    assert about["License-Expression"] == "MIT"
    assert about["Requires-Python"] == ">=3.11"
    assert "asgi" in about.get_all("Provides-Extra", [])


def run(installed: Path, elsewhere: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=elsewhere,
        env=os.environ | {"PYTHONPATH": str(installed)},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_it_runs_from_another_directory(installed: Path, tmp_path: Path) -> None:
    where = run(installed, tmp_path, "-c", "import trio_stages; print(trio_stages.__file__)")
    assert Path(where.strip()).is_relative_to(installed)
    assert "stage01_blocking" in run(installed, tmp_path, "-m", "trio_stages")


def test_the_console_script_is_the_module(installed: Path, tmp_path: Path) -> None:
    (script,) = metadata(installed).entry_points.select(group="console_scripts")
    assert script.name == "trio-stages"
    call = f"import sys; from {script.module} import {script.attr}; sys.exit({script.attr}())"
    assert run(installed, tmp_path, "-c", call) == run(installed, tmp_path, "-m", "trio_stages")
