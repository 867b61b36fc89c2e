"""How this project is checked: `nox -s tests` first, `nox -l` for the rest.

A session installs what requirements/<group>.txt pins, hash by hash, and works on the checkout.
`nox -s lock` makes those pins from pyproject.toml (`nox -s lock -- --upgrade`: the newest).
What stands after `--` goes to the tool: `nox -s tests -- -k ledger`, `nox -s stress -- 5 6`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False  # `matrix` skips what is not there
nox.options.sessions = ["tests", "lint", "types", "docs"]

COMPARED = ("3.11", "3.12", "3.13", "3.14")
"""Pythons on which `nox -s compare` looks for a difference."""
COVERED_WHOLE = ("framing", "heads", "chunks", "ledger", "handling", "drain_rate", "jobs")
"""Modules that must not lose a byte or a job: every branch of them is hit."""


SPREAD = ("-n", "auto", "--dist", "loadgroup")
"""Tests run on all cores."""


def install(session: nox.Session, group: str) -> None:
    session.install("--require-hashes", "-r", f"requirements/{group}.txt")


@nox.session
def tests(session: nox.Session) -> None:
    """The test suite and its branch coverage, on the Python that runs nox."""
    install(session, "test")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *SPREAD, *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")
    if not session.posargs:
        files = ",".join(f"trio_stages/{module}.py" for module in COVERED_WHOLE)
        session.run("coverage", "report", f"--include={files}", "--fail-under=100")


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def matrix(session: nox.Session) -> None:
    """The test suite on each of these Pythons that this machine has."""
    install(session, "test")
    session.run("pytest", *SPREAD, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, and flake8-async for what ruff does not see."""
    install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("flake8", "trio_stages", "clients", "tests", "fuzz", "noxfile.py")


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict over all of it."""
    install(session, "types")
    session.run("mypy", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation in build/docs; every warning is an error."""
    install(session, "docs")
    session.run("sphinx-build", "-EWnq", "--keep-going", "docs", "build/docs", *session.posargs)


@nox.session
def stress(session: nox.Session) -> None:
    """The lab: every table of the document beside ours, e.g. `nox -s stress -- --quick 7 8`."""
    install(session, "test")
    session.run("python", "-m", "clients.lab", *session.posargs)


def other_pythons() -> dict[str, str]:
    """Those of ``COMPARED`` that this machine has besides ours, as commands or from pyenv."""
    found = {}
    for minor in COMPARED:
        pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
        candidates = [str(python) for python in sorted(pyenv.glob(f"{minor}.*/bin/python"))]
        if command := shutil.which(f"python{minor}"):
            candidates.insert(0, command)
        for python in candidates:
            ask = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
            answer = subprocess.run(ask, capture_output=True, text=True, check=False)
            if answer.stdout.strip() == minor:  # a shim of pyenv may be there and know no Python
                found[minor] = python
                break
    found.pop("{}.{}".format(*sys.version_info), None)
    return found


@nox.session
def compare(session: nox.Session) -> None:
    """Trio beside asyncio: every scenario on each of these Pythons that this machine has.

    Writes build/compare/index.html, report.md and results.json. Exit status 1 where something is
    not as the registry of scenarios expects. `nox -s compare -- S3`: one of them, and no costs.
    """
    install(session, "test")
    pythons = ["python"]
    for minor, python in other_pythons().items():
        venv = Path(".nox", f"compare-{minor}")
        inside = str(venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        if not Path(inside).exists():
            session.run(python, "-m", "venv", str(venv), external=True)
        session.run(
            *(inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--require-hashes", "-r", "requirements/test.txt"),
            external=True,
        )
        pythons.append(inside)
    compare = ("python", "-m", "trio_stages", "compare")
    folder = "build/compare"
    first = []
    if not session.posargs:
        first = [f"--costs={folder}/costs.json"]
        session.run(*compare, "costs", "--rounds=3", f"--json={folder}/costs.json")
    session.run(
        *compare,
        *(f"--json={folder}/results.json", f"--html={folder}/index.html"),
        *(f"--markdown={folder}/report.md", *first),
        *(f"--python={python}" for python in pythons),
        *session.posargs,
    )


@nox.session
def soak(session: nox.Session) -> None:
    """Slow clients, idle ones, stops amid floods, 10 M requests: `nox -s soak -- --quick`."""
    install(session, "test")
    Path("build").mkdir(exist_ok=True)
    session.run("python", "-m", "clients.soak", "--json", "build/soak.json", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Beside FastAPI, Starlette, aiohttp and others: `nox -s bench -- --quick`, `-- headline`."""
    install(session, "bench")
    session.run("python", "-m", "clients.bench", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Any bytes against the framing and the event parser, e.g. `nox -s fuzz -- --seconds 600`."""
    install(session, "fuzz")
    session.run("python", "-m", "fuzz", *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Pin every group again, for Python 3.11 and up on any system."""
    install(session, "lock")
    for group in nox.project.load_toml()["dependency-groups"]:
        # where the package is imported, what it needs is pinned too
        package = [] if group in ("lint", "nox", "lock") else ["pyproject.toml"]
        session.run(
            *("uv", "pip", "compile", *package, f"--group={group}", *session.posargs),
            *("--universal", "--python-version=3.11", "--generate-hashes", "--no-emit-index-url"),
            *("--no-header", "--no-annotate", "--quiet", f"--output-file=requirements/{group}.txt"),
        )
