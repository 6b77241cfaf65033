"""The ``kefu`` command. Each module of this package holds one group of commands and imports models only when run."""

from __future__ import annotations

import importlib
import sys

import typer

from kefu.errors import KefuError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
# A module with `app` becomes a group of that name, one with `command` becomes that command.
for _name in (
    "evaluate",
    "train",
    "reply",
    "explain",
    "why",
    "feedback",
    "retrain",
    "models",
    "report",
    "benchmark",
    "simulate",
    "shop",
    "knowledge",
    "data",
    "demo",
):
    try:
        _module = importlib.import_module(f"kefu.cli.{_name}")
    except ModuleNotFoundError as _error:
        if _error.name != f"kefu.cli.{_name}":
            raise
        continue
    if hasattr(_module, "app"):
        app.add_typer(_module.app, name=_name, help=_module.__doc__)
    else:
        app.command(name=_name, help=_module.__doc__)(_module.command)


def main() -> None:
    """Runs the command; errors that kefu raises on purpose become one line on stderr and exit code 1."""
    try:
        app()
    except KefuError as error:
        print(f"kefu: {error}", file=sys.stderr)
        raise SystemExit(1) from None
