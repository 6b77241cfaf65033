"""What the shop knows: add documents, search, list, build the index."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from kefu.cli.output import stdout_kept

app = typer.Typer(no_args_is_help=True)

_JSON = typer.Option("--json", help="Print one JSON object and nothing else.")


@app.command()
def add(
    files: Annotated[list[Path], typer.Argument(help="Markdown, plain text, CSV, DOCX or PDF.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write to. By default data/knowledge/NAME.yml, one for each document."),
    ] = None,
    intent: Annotated[
        list[str] | None, typer.Option(help="An intent that the passages answer; may be given again.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Give passages of an earlier version of the document their new texts.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Cuts documents into passages by their headings, and adds those that no passage says already.

    A CSV file has a column text (or answer, 内容, 答案), and may have title, questions and intents. Passages that know
    their intents are found better; look through the file that was written, and add how customers ask.

    Examples:

        kefu knowledge add 售后政策.docx --intent ask_return_policy --dry-run

        kefu knowledge add faq.csv manual.pdf
    """
    from kefu.knowledge.adding import Added, ids_in, passages_of, slug, sorted_out, write
    from kefu.knowledge.sources import read_passages
    from kefu.settings import settings

    data = settings().data_dir
    known = list(read_passages(data))
    planned: list[tuple[Path, Path, Added]] = []
    for file in files:  # all are read before the first is written
        target = out or data / "knowledge" / f"{slug(file.stem)}.yml"
        there = ids_in(target)
        made = sorted_out(passages_of(file, intent or ()), known, there)
        known += made.fresh
        planned.append((file, target, made))
    told: list[dict[str, Any]] = []
    for file, target, made in planned:
        if not dry_run:
            write(target, made.fresh, made.changed if replace else (), file.name)
        told.append(
            {
                "file": str(file),
                "out": str(target),
                "written": not dry_run,
                "added": [{"id": p.id, "title": p.title, "text": p.text} for p in made.fresh],
                "changed": [p.id for p in made.changed],
                "unchanged": made.unchanged,
                "repeated": [
                    {"title": p.title, "text": p.text, "like": name, "likeness": round(likeness, 2)}
                    for p, name, likeness in made.repeated
                ],
            }
        )
    if as_json:
        typer.echo(json.dumps({"documents": told}, ensure_ascii=False))
        return
    for one in told:
        _tell(one, replace, dry_run)
    if any(one["added"] or (replace and one["changed"]) for one in told) and not dry_run:
        typer.echo("Restart the action server: it reads the passages when it starts.")


def _tell(one: dict[str, Any], replace: bool, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    if dry_run:
        for passage in one["added"]:
            typer.echo(f"{passage['id']}  {passage['title']}\n    {passage['text']}")
    for passage in one["repeated"]:
        typer.echo(
            f"skipped, {passage['likeness']:.0%} of it stands in {passage['like']}: "
            f"{passage['title']}: {passage['text'][:40]}"
        )
    for name in one["changed"]:
        typer.echo(f"{name}: {would + 'replaced' if replace else 'has another text now; --replace takes it'}")
    unchanged = f", {len(one['unchanged'])} are there already" if one["unchanged"] else ""
    typer.echo(f"{one['file']}: {len(one['added'])} passages {would}added to {one['out']}{unchanged}")


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="A message, as a customer would write it.")],
    intent: Annotated[str | None, typer.Option(help="The message's intent, where you know it.")] = None,
    k: Annotated[int, typer.Option("--top", min=1, help="At most so many passages.")] = 3,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """The passages that a reply to a message would get, and why: their places by words and by meaning."""
    from kefu.errors import DataError
    from kefu.taxonomy import INTENTS

    if intent is not None and intent not in INTENTS:
        raise DataError(f"The intent {intent!r} does not stand in taxonomy.yml.")
    with stdout_kept(as_json):
        from kefu.knowledge import Retriever

        found = Retriever.load().hits(text, intent, k)
    rows = [
        {
            "id": hit.passage.id,
            "title": hit.passage.title,
            "text": hit.passage.text,
            "score": round(hit.score, 3),
            "words_rank": hit.words_rank,
            "meaning_rank": hit.meaning_rank,
            "cosine": round(hit.cosine, 3),
            "same_intent": hit.same_intent,
        }
        for hit in found
    ]
    if as_json:
        typer.echo(json.dumps({"query": text, "intent": intent, "passages": rows}, ensure_ascii=False))
        return
    for row in rows:
        words = f"place {row['words_rank']} by words" if row["words_rank"] else "no word in common"
        why = f"{words}, place {row['meaning_rank']} by meaning (cosine {row['cosine']:.2f})"
        typer.echo(f"{row['score']:.3f}  {row['id']}  {row['title']}")
        typer.echo(f"       {why}{', has the intent' if row['same_intent'] else ''}\n       {row['text']}")
    if not rows:
        typer.echo("No passage is about this.")


@app.command("list")
def list_(
    intent: Annotated[str | None, typer.Option(help="Only passages that have this intent.")] = None,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """All passages: id, title and intents; the catalogue's and the promotions' too."""
    from kefu.knowledge.sources import read_passages
    from kefu.settings import settings

    found = [p for p in read_passages(settings().data_dir) if intent is None or intent in p.intents]
    if as_json:
        rows = [{"id": p.id, "title": p.title, "intents": list(p.intents), "text": p.text} for p in found]
        typer.echo(json.dumps({"passages": rows}, ensure_ascii=False))
        return
    for passage in found:
        typer.echo(f"{passage.id}  {passage.title}  [{', '.join(passage.intents)}]")
    typer.echo(f"{len(found)} passages")


@app.command()
def index(as_json: Annotated[bool, _JSON] = False) -> None:
    """Builds the index, so that the action server finds it made; it makes it itself where passages have changed."""
    from kefu.settings import settings

    began = time.monotonic()
    with stdout_kept(as_json):
        from kefu.knowledge import Retriever

        made = Retriever.load()
    told = {
        "passages": len(made.passages),
        "vectors": made.vectors,
        "store": settings().knowledge_store,
        "cache": str(settings().cache),
        "seconds": round(time.monotonic() - began, 1),
    }
    if as_json:
        typer.echo(json.dumps(told))
        return
    where = "the database" if told["store"] == "pgvector" else f"memory, kept in {told['cache']}"
    typer.echo(f"{told['passages']} passages, {told['vectors']} vectors in {where}; {told['seconds']} s")
