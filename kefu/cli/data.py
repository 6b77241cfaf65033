"""The training data: check what is written by hand, import sets that you have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def data() -> None:
    """The training data: check what is written by hand, import sets that you have."""


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


@app.command("import")
def import_(
    format_: Annotated[
        str, typer.Option("--format", help="banking77, chnsenticorp, clinc150, csv, ewect, jsonl or smp2020.")
    ],
    folder: Annotated[Path, typer.Option("--from", help="The folder of the set's files, as they were published.")],
    out: Annotated[Path, typer.Option(help="The file to write, for instance data/nlu/my_set.yml.")],
    intent_map: Annotated[
        Path | None,
        typer.Option(help="YAML lines 'label: intent' (or emotion); 'label:' alone leaves its rows out."),
    ] = None,
    as_: Annotated[str, typer.Option("--as", help="What the label is: intent or emotion.")] = "intent",
    intent: Annotated[str | None, typer.Option(help="With --as emotion: the intent of all examples.")] = None,
    emotion: Annotated[
        str | None, typer.Option(help="With --as intent: the emotion of all examples. Without, none is trained.")
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Of csv and jsonl. By default text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Of csv and jsonl. By default label.")] = None,
    part: Annotated[str | None, typer.Option(help="Of smp2020: usual (the default) or virus.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Writes the training rows of a set as NLU examples; test rows stay unseen, so that they can measure.

    Examples:

        kefu data import --format csv --from my_set --out data/nlu/my_set.yml --intent-map map.yml

        kefu data import --format smp2020 --from ewect --out data/nlu/ewect.yml --as emotion --intent chitchat
        --intent-map map.yml
    """
    from kefu.dataset.importing import Target, check_out, convert, read_label_map, write_nlu
    from kefu.evaluation.datasets import Options, read_train

    target = Target(as_, intent, emotion)
    check_out(out, force)
    label_map = read_label_map(intent_map) if intent_map else None
    made = convert(read_train(format_, folder, Options(text_column, label_column, part)), target, label_map)
    write_nlu(made, out, force)
    told = made.as_dict()
    if as_json:
        typer.echo(json.dumps({**told, "file": str(out)}, ensure_ascii=False))
        return
    typer.echo(f"wrote {told['examples']} examples to {out}")
    for kind in ("intents", "emotions"):
        if told[kind]:
            typer.echo(f"{kind}: " + ", ".join(f"{name} {n}" for name, n in told[kind].items()))
    for key, what in (
        ("unmapped", "rows left out by the map"),
        ("repeated", "rows that repeat another"),
        ("contradictory", "texts left out that have more than one label"),
        ("blank", "rows without text"),
    ):
        if told[key]:
            typer.echo(f"{told[key]} {what}")
    typer.echo("Before training: kefu data check")


def _table(counts: dict[str, Any]) -> None:
    emotions = list(counts["emotions"])
    rows = [("intent", "all", emotions)]
    rows += [(name, str(sum(row.values())), [str(row[e]) for e in emotions]) for name, row in counts["intents"].items()]
    rows += [("all", str(counts["examples"]), [str(counts["emotions"][e]) for e in emotions])]
    for name, total, cells in rows:
        typer.echo(f"{name:<24}{total:>6}" + "".join(f"{cell:>13}" for cell in cells))
    strategies = ", ".join(f"{name} {n}" for name, n in counts["strategies"].items())
    typer.echo(f"{counts['dialogues']} dialogues, {counts['turns']} turns: {strategies}")
