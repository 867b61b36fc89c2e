"""The command line: the ladder, a stage, or the lesson between two."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from .ladder import LADDER, STAGES
from .options import UsageError, parse_settings
from .runner import FAILED, USAGE, run_stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .ladder import Stage

USAGE_TEXT = """\
usage: python -m trio_stages                    print the ladder
       python -m trio_stages N [options]        run stage N until Ctrl-C (N --help: its options)
       python -m trio_stages diff N M           show the lesson between two stages
       python -m trio_stages compare            Trio beside asyncio (compare --help: its options)"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        arguments: those behind the program's name; ``sys.argv`` by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            return _run(words)
        finally:
            if sys.stdout is not None:  # closed by whoever started us
                sys.stdout.flush()  # here, where a reader that has gone is no error
    except UsageError as error:
        print(f"trio_stages: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return 0
        print(f"trio_stages: {error}", file=sys.stderr)
        return FAILED


def _run(words: list[str]) -> int:
    match words:
        case []:
            _print_ladder()
        case ["-h" | "--help"]:
            print(USAGE_TEXT)
        case ["--version"]:
            from . import __version__

            print(__version__)
        case ["diff", before, after]:
            _print_lesson(_stage(before), _stage(after))
        case ["diff", *_]:
            raise UsageError("diff takes two stages, such as 'diff 5 6'")
        case ["compare", *options]:
            from .compare import command

            return command.main(options)
        case [number, *options]:
            stage = _stage(number)
            module = stage.load()
            settings = parse_settings(
                stage.number, module.DEFAULTS, options, os.environ, description=module.__doc__
            )
            return run_stage(module.serve, settings)
    return 0


def _stage(word: str) -> Stage:
    try:
        return STAGES[int(word)]
    except (ValueError, KeyError):
        known = f"stages are {LADDER[0].number} to {LADDER[-1].number}"
        raise UsageError(f"{word!r} is neither a stage nor a command; {known}") from None


def _print_ladder() -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="The ladder", title_justify="left")
    table.add_column("stage")
    table.add_column("pain")
    table.add_column("idea")
    table.add_column("file", no_wrap=True)
    for stage in LADDER:
        table.add_row(str(stage.number), stage.pain, stage.idea, f"{stage.name}.py")
    console = Console()
    console.print(table)
    console.print("python -m trio_stages 6          run stage 6 until Ctrl-C", highlight=False)
    console.print("python -m trio_stages diff 5 6   show what it adds", highlight=False)


def _print_lesson(before: Stage, after: Stage) -> None:
    from rich.console import Console
    from rich.syntax import Syntax

    from .lesson import lesson

    text = lesson(before, after)
    if sys.stdout.isatty():
        Console().print(Syntax(text, "diff", theme="ansi_dark", word_wrap=True))
    else:
        print(text)
