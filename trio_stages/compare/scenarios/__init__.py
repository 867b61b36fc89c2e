"""The scenarios: a package each, found by name.

A package's ``__init__`` has the data and the script, the same for all columns. Where the columns'
code is the scenario's own it has a module for each; otherwise they differ in the shells alone, and
``exhibit`` says in which function.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_stages.compare.scenario import Scenario


def load(name: str) -> Scenario:
    """The scenario of one package, such as ``s03_timeout_under_lock``."""
    scenario: Scenario = import_module(f"{__name__}.{name}").SCENARIO
    return scenario


@cache
def scenarios() -> dict[str, Scenario]:
    """All scenarios by id, in the order of the table."""
    packages = sorted(module.name for module in iter_modules(__path__))
    return {scenario.id: scenario for scenario in map(load, packages)}
