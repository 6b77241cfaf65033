"""Measure a trained model on labelled files; shares go from 0 to 1."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kefu.cli.output import stdout_kept

app = typer.Typer(no_args_is_help=True)

_MODEL = typer.Option(help="A trained Rasa model, models/*.tar.gz, or a folder of them (the newest is taken).")
_JSON = typer.Option("--json", help="Print one JSON object and nothing else.")


@app.command()
def nlu(
    model: Annotated[Path, _MODEL],
    data: Annotated[Path, typer.Option(help='JSON lines: {"text": "…", "context"?, "intent"?, "emotion"?}')],
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Accuracy, macro-F1 and calibration of intent and emotion, and the time a message takes."""
    with stdout_kept(as_json):
        from kefu.evaluation.nlu import evaluate_nlu, read_nlu_rows
        from kefu.rasa_bridge import RasaModel

        rows = read_nlu_rows(data)
        figures = evaluate_nlu(RasaModel.load(model), rows)
    _show(figures, as_json)


@app.command()
def strategy(
    model: Annotated[Path, _MODEL],
    data: Annotated[Path, typer.Option(help='JSON lines: {"context": [["user", "…"]…], "strategy": ["inform"…]}')],
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """How often the strategy chosen, or one of the first three, is among the accepted ones."""
    with stdout_kept(as_json):
        from kefu.evaluation.strategy import evaluate_strategy, read_strategy_rows
        from kefu.rasa_bridge import RasaModel

        rows = read_strategy_rows(data)
        figures = evaluate_strategy(RasaModel.load(model), rows)
    _show({"strategy": figures} if not as_json else figures, as_json)


@app.command("cross-validate")
def cross_validate(
    dialogues: Annotated[list[Path], typer.Option(help="Dialogue files or folders; may be given again.")] = [  # noqa: B006
        Path("data/dialogues")
    ],
    rules: Annotated[Path, typer.Option(help="The rule file.")] = Path("data/strategy_rules.yml"),
    folds: Annotated[int, typer.Option(min=2, help="Parts that the dialogues are dealt into.")] = 5,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Measures the strategy model on dialogues it has not seen: with and without rules, emotion, earlier turns."""
    with stdout_kept(as_json):
        from kefu.dialogues import read_dialogues
        from kefu.evaluation.strategy import cross_validate as validate
        from kefu.settings import settings
        from kefu.strategy import TrainingArguments, read_rules
        from kefu.strategy.encoder import load_encoder

        read = list(read_dialogues(dialogues))
        arguments = TrainingArguments(encoder=settings().encoder)
        figures = validate(read, read_rules(rules), arguments, load_encoder(arguments.encoder), folds)
    _show(figures if as_json else {f"{v}, {k}": f for v, by in figures.items() for k, f in by.items()}, as_json)


def _show(figures: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(figures, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    columns = list(dict.fromkeys(name for group in figures.values() for name in group))
    table = Table("", *columns)
    for name, group in figures.items():
        table.add_row(name, *(_cell(group.get(column)) for column in columns))
    Console().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.3f}"
