"""Trains a new model on reviewed feedback, compares it with the one that serves, and switches if it is not worse.

Exports the reviewed feedback, runs `rasa train`, and measures the new model (the challenger) against the one that
serves (the champion). Intent and emotion macro-F1 and the strategy's top-1 on data/heldout decide; where the assistant
tried several strategies (exploration), so does what both policies would have earned by customers' feedback, from which
the challenger's strategy policy learns (`kefu evaluate policy`). A challenger that is not worse becomes the champion,
and the Rasa server at KEFU_RASA_URL is told to load it; else it stays in models/candidates. `kefu models rollback`
undoes a promotion. Training takes minutes.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kefu.cli.feedback import tell

if TYPE_CHECKING:
    from kefu.feedback.retrain import Outcome, Plan


def command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done and write nothing.")] = False,
    no_switch: Annotated[
        bool, typer.Option("--no-switch", help="Promote, but leave the running Rasa server alone.")
    ] = False,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Drop of a figure that is let pass. By default 0.01, or one held-out example."
        ),
    ] = None,
    generator: Annotated[
        bool, typer.Option("--generator", help="Train the reply generator as well (`kefu train generator`).")
    ] = False,
    generator_from: Annotated[
        int, typer.Option(min=1, help="Better replies from which on training the generator is suggested.")
    ] = 50,
    max_per_sender: Annotated[int, typer.Option(help="At most so many items of one customer.")] = 20,
    max_share: Annotated[float, typer.Option(help="At most this part of the export from one customer, 0 to 1.")] = 0.2,
    policy_margin: Annotated[
        float,
        typer.Option(min=0.0, max=2.0, help="Reward a choice that the lower bound of the difference may lose."),
    ] = 0.05,
    domain: Annotated[Path, typer.Option(help="Rasa's domain file.")] = Path("domain.yml"),
    config: Annotated[Path, typer.Option(help="Rasa's config file.")] = Path("config.yml"),
    models: Annotated[Path, typer.Option(help="Folder of trained models.")] = Path("models"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Runs the loop once; the module says how."""
    from kefu.feedback import Limits, ReviewStore
    from kefu.feedback.retrain import Plan, generator_command, plan_only, retrain
    from kefu.settings import settings

    chosen = settings()
    plan = Plan(
        data=chosen.data_dir,
        domain=domain,
        config=config,
        models=models,
        state=chosen.state_dir,
        limits=Limits(max_per_sender, max_share),
        tolerance=tolerance,
        server=None if no_switch else chosen.rasa_url,
        token=chosen.rasa_token,
        generator_from=generator_from,
        policy_margin=policy_margin,
    )
    store = ReviewStore(chosen.database)
    if dry_run:
        outcome = plan_only(store, plan)
    else:
        outcome = retrain(store, plan, say=lambda message: typer.echo(message, err=True))
        if generator:
            _train_generator(generator_command(plan))
            outcome.notes.append("The generator was trained.")
        if chosen.learn_preferences and chosen.adapter not in ("", "none"):
            from kefu.feedback.tuning import tune

            outcome.notes.append(tune(store, plan, Path(chosen.adapter), _train_generator))
    if as_json:
        typer.echo(json.dumps(outcome.as_dict(), ensure_ascii=False))
        return
    _show(outcome, plan, dry_run)


def _train_generator(arguments: Sequence[str]) -> None:
    from kefu.errors import ModelError

    code = "from kefu.cli import main; main()"
    # Its progress goes to stderr, where --json does not look.
    done = subprocess.run([sys.executable, "-c", code, *arguments], stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise ModelError(f"`kefu {' '.join(arguments[:2])}` failed ({done.returncode}); its messages stand above.")


def _show(outcome: Outcome, plan: Plan, dry_run: bool) -> None:
    for line in tell(outcome.export.as_dict()):
        typer.echo(line)
    if dry_run:
        typer.echo(f"would export {len(outcome.export.examples)} examples, {len(outcome.export.dialogues)} dialogues")
        typer.echo(f"would run: {shlex.join(outcome.command)}")
        typer.echo(f"would compare it with: {outcome.champion or 'nothing, there is no champion yet'}")
        for note in outcome.notes:
            typer.echo(note)
        return
    show_lines([line.as_dict() for line in outcome.lines])
    if outcome.promoted:
        typer.echo(f"promoted: {outcome.model} is the champion. Undo: kefu models rollback")
    else:
        worse = ", ".join(line.figure for line in outcome.lines if not line.good)
        name = outcome.model.name if outcome.model else ""
        typer.echo(f"not promoted, worse in {worse}. {outcome.champion} stays. To overrule: kefu models promote {name}")
    if outcome.switched:
        typer.echo(outcome.switched.message)
    for note in outcome.notes:
        typer.echo(note)


def show_lines(lines: list[dict[str, object]]) -> None:
    """Prints the comparison as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table("figure", "n", "champion", "challenger", "difference, 95 %", "allowed drop", "")
    for line in lines:
        before, allowed = line["champion"], line["allowed"]
        verdict = ("ok" if line["good"] else "worse") if isinstance(allowed, float) else ""
        table.add_row(
            str(line["figure"]),
            str(line["n"]),
            f"{before:.4f}" if isinstance(before, float) else "–",
            f"{line['challenger']:.4f}",
            "{:+.4f} … {:+.4f}".format(*between) if isinstance(between := line.get("difference"), tuple) else "",
            f"{allowed:.4f}" if isinstance(allowed, float) else "",
            verdict,
        )
    Console().print(table)
