"""Show why each reply's strategy was chosen: its rivals, the rules that fired, what of the conversation mattered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kefu.cli.output import stdout_kept
from kefu.cli.reply import read_rows

if TYPE_CHECKING:
    from kefu.rasa_bridge import RasaModel


def command(
    data: Annotated[Path, typer.Option(help='JSON lines: {"context": [["user", "…"], ["agent", "…"]], "facts": {}}')],
    model: Annotated[Path, typer.Option(help="A trained Rasa model, models/*.tar.gz, or a folder of them.")] = Path(
        "models"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines and nothing else.")] = False,
) -> None:
    """Show why the strategy of the reply to each conversation in a file was chosen.

    What mattered is by how much the log-odds of the strategy fall where that part is left blank. The running
    assistant keeps the same in the slot strategy_scores and logs it at level INFO.
    """
    rows = list(read_rows(data))
    with stdout_kept(as_json):
        from kefu.rasa_bridge import RasaModel

        rasa = RasaModel.load(model)
        told = [explain(row, rasa) for row in rows]
    for row, why in zip(rows, told):
        typer.echo(json.dumps(why, ensure_ascii=False) if as_json else _page(row, why))


def explain(row: dict[str, Any], rasa: RasaModel) -> dict[str, Any]:
    """{strategy, scores, rules, mattered} of a row's next reply."""
    turns = [(str(speaker), str(text)) for speaker, text in row["context"]]
    facts = {str(k): str(v) for k, v in (row.get("facts") or {}).items()}
    return rasa.explain(turns, facts or None)


def _page(row: dict[str, Any], why: dict[str, Any]) -> str:
    from kefu.taxonomy import STRATEGIES, short_name

    lines = [f"{speaker}: {text}" for speaker, text in row["context"][-2:]]
    best = [f"{name} {short_name(STRATEGIES[name])} {p:.0%}" for name, p in list(why["scores"].items())[:3]]
    mattered = [f"{part} {weight:+.2f}" for part, weight in why["mattered"].items()]
    lines += [f"  → {'; '.join(best)}", f"    rules: {', '.join(why['rules']) or 'none fired'}"]
    lines += [f"    what mattered: {', '.join(mattered) or 'nothing by itself'}"]
    return "\n".join(lines) + "\n"
