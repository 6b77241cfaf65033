"""The hand-written data: check it before training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def data() -> None:
    """The hand-written data: check it before training."""


@app.command()
def check(
    folder: Annotated[Path | None, typer.Option("--data", help="The data folder. By default KEFU_DATA_DIR.")] = None,
    threshold: Annotated[
        float,
        typer.Option(min=0.3, max=1.0, help="Likeness (bigram Jaccard) from which two messages are nearly the same."),
    ] = 0.8,
    fewest: Annotated[int, typer.Option(min=1, help="Name intents with fewer examples than this.")] = 20,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Checks labels, duplicates, leakage into data/heldout, entities, facts, ids and encoding; exits with 1 on errors.

    Each finding has its file and line. Errors must be mended; warnings are for a person to look at.
    """
    from kefu.dataset import check as run
    from kefu.settings import settings

    found = run(folder or settings().data_dir, threshold, fewest)
    if as_json:
        problems = [p.as_dict() for p in found.problems]
        counts = {"errors": len(found.errors), "warnings": len(found.warnings), **found.counts}
        typer.echo(json.dumps({"problems": problems, "counts": counts}, ensure_ascii=False))
    else:
        for problem in found.problems:
            typer.echo(f"{problem.where}: {problem.level}: {problem.check}: {problem.message}")
        _table(found.counts)
        typer.echo(f"{len(found.errors)} errors, {len(found.warnings)} warnings")
    if found.errors or (strict and found.warnings):
        raise typer.Exit(1)


def _table(counts: dict[str, Any]) -> None:
    emotions = list(counts["emotions"])
    rows = [("intent", "all", emotions)]
    rows += [(name, str(sum(row.values())), [str(row[e]) for e in emotions]) for name, row in counts["intents"].items()]
    rows += [("all", str(counts["examples"]), [str(counts["emotions"][e]) for e in emotions])]
    for name, total, cells in rows:
        typer.echo(f"{name:<24}{total:>6}" + "".join(f"{cell:>13}" for cell in cells))
    strategies = ", ".join(f"{name} {n}" for name, n in counts["strategies"].items())
    typer.echo(f"{counts['dialogues']} dialogues, {counts['turns']} turns: {strategies}")
