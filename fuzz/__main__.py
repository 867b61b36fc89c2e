"""``python -m fuzz [TARGET …]``: try for a while to break the rules of the targets."""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib.util import find_spec

from .engines import SCRAPS, with_atheris, with_hypothesis

ENGINES = ("atheris", "hypothesis")


def main() -> int:
    """Run the command; return its exit status: 1 if a rule was broken."""
    parser = argparse.ArgumentParser(prog="fuzz", description="Any bytes against the parsers.")
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(SCRAPS)} (default: all)"
    )
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default=ENGINES[0] if find_spec(ENGINES[0]) else ENGINES[1],
        help="default: atheris where it is installed",
    )
    parser.add_argument(
        "--keep", action="store_true", help="add what atheris has found before to the corpus"
    )
    options = parser.parse_args()
    targets = options.targets or list(SCRAPS)
    if unknown := set(targets) - SCRAPS.keys():
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if options.keep:
        from .keep import keep  # not before atheris has instrumented what it imports

        for target in targets:
            print(f"{target}: {keep(target)} more inputs in the corpus")
        return 0
    if len(targets) > 1:  # each in a process of its own, for atheris ends it
        engine = [f"--seconds={options.seconds}", f"--engine={options.engine}"]
        runs = [
            subprocess.run([sys.executable, "-m", "fuzz", target, *engine]) for target in targets
        ]
        return int(any(run.returncode for run in runs))
    print(f"{targets[0]}, with {options.engine}", flush=True)
    fuzz = with_atheris if options.engine == ENGINES[0] else with_hypothesis
    fuzz(targets[0], options.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
