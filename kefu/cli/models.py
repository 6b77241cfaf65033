"""Trained models: which one serves, how good each is, promote one by hand, go back to the one before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from kefu.feedback.retrain import Plan

_FIGURES = (("intent", "macro_f1"), ("emotion", "macro_f1"), ("strategy", "top1"))
app = typer.Typer(no_args_is_help=True)
Folder = Annotated[Path, typer.Option("--models", help="Folder of trained models.")]
NoSwitch = Annotated[bool, typer.Option("--no-switch", help="Leave the running Rasa server alone.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def _plan(models: Path, no_switch: bool) -> Plan:
    from kefu.feedback.retrain import Plan
    from kefu.settings import settings

    chosen = settings()
    return Plan(models=models, server=None if no_switch else chosen.rasa_url, token=chosen.rasa_token)


@app.command("list")
def list_models(models: Folder = Path("models"), as_json: Json = False) -> None:
    """Lists the models with their figures on the held-out data; the champion is the one that serves."""
    rows = _rows(models)
    if as_json:
        typer.echo(json.dumps({"models": rows}, ensure_ascii=False))
        return
    if not rows:
        typer.echo(f"There is no model in {models}. Train one: rasa train")
        return
    width = max(len(row["file"]) for row in rows)
    typer.echo(f"{'file':<{width}}  status      created              intent F1  emotion F1  strategy top-1    MB")
    for row in rows:
        figures = [_figure(row, *path) for path in _FIGURES]
        size = f"{row['bytes'] / 1e6:.0f}" if row["bytes"] is not None else "gone"
        typer.echo(
            f"{row['file']:<{width}}  {row['status']:<10}  {row['created']:<19}  "
            f"{figures[0]:>9}  {figures[1]:>10}  {figures[2]:>14}  {size:>4}"
        )
    newest = next((r for r in rows if r["newest"]), None)
    if newest is not None and newest["status"] != "champion":
        name = newest["file"]
        typer.echo(f"`rasa run` loads the newest file, {name}. To make it the champion: kefu models promote {name}")


def _figure(row: dict[str, Any], group: str, key: str) -> str:
    value = row["figures"].get(group, {}).get(key)
    return f"{value:.4f}" if isinstance(value, float) else ""


def _rows(models: Path) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from kefu.feedback.registry import newest_model, read_registry, record_of

    registry, newest = read_registry(models), newest_model(models)
    known = {m.file for m in registry.models}
    records = [asdict(m) for m in registry.models]
    for file in sorted(models.glob("*.tar.gz")):
        if file.name not in known:
            records.append({**asdict(record_of(models, file)), "status": "unrecorded"})
    for record in records:
        path = models / record["file"]
        record["bytes"] = path.stat().st_size if path.is_file() else None
        record["newest"] = newest is not None and path == newest
    return records


@app.command()
def promote(
    file: Annotated[str, typer.Argument(help="A model's file name, from `kefu models list`, or its path.")],
    models: Folder = Path("models"),
    no_switch: NoSwitch = False,
    as_json: Json = False,
) -> None:
    """Makes a model the champion, whatever its figures, and tells the running Rasa server to load it."""
    from kefu.feedback.registry import locate
    from kefu.feedback.retrain import promote as crown

    path = locate(models, file)
    done = crown(_plan(models, no_switch), path)
    if as_json:
        typer.echo(json.dumps({"champion": path.name, "server": done.as_dict()}, ensure_ascii=False))
        return
    typer.echo(f"{path.name} is the champion. {done.message}")


@app.command()
def rollback(models: Folder = Path("models"), no_switch: NoSwitch = False, as_json: Json = False) -> None:
    """Goes back to the champion before the present one, on the running Rasa server too."""
    from kefu.feedback.retrain import rollback as back

    file, done = back(_plan(models, no_switch))
    if as_json:
        typer.echo(json.dumps({"champion": file, "server": done.as_dict()}, ensure_ascii=False))
        return
    typer.echo(f"{file} is the champion again. {done.message}")
