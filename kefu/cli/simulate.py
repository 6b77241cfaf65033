"""Play strategies against simulated customers: how many are helped, in how many turns, in what mood they leave."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kefu.cli.output import stdout_kept

if TYPE_CHECKING:
    from kefu.dialogues import Dialogue
    from kefu.simulation import Policy
    from kefu.strategy import StrategyModel

_COLUMNS = {"resolved": "resolved", "gain": "against learned", "turns": "turns", "upset": "left upset", "mood": "mood"}


_MODEL = typer.Option(help="A trained Rasa model, or a folder of them (the newest is taken).")


def command(
    model: Annotated[Path, _MODEL] = Path("models"),
    dialogues: Annotated[int, typer.Option(min=1, help="Conversations of each policy.")] = 2000,
    explored: Annotated[int, typer.Option(min=1, help="Conversations that the feedback is learned from.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same customers.")] = 1,
    poison: Annotated[
        int, typer.Option(min=0, help="Top ratings that one customer gives a bad strategy; 0 leaves this out.")
    ] = 500,
    worlds: Annotated[
        int, typer.Option(min=0, help="Play again so often with the customers' stated numbers moved by chance.")
    ] = 0,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Also train the model without emotion and without earlier turns.")
    ] = False,
    customers: Annotated[Path | None, typer.Option(help="Another file of the customers' numbers.")] = None,
    data: Annotated[Path, typer.Option(help="The folder with nlu/ and dialogues/.")] = Path("data"),
    picture: Annotated[Path | None, typer.Option(help="A .png for the bars.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    with stdout_kept(as_json):
        from kefu.dataset.nlu import read_nlu
        from kefu.dialogues import read_dialogues
        from kefu.simulation import Plan, compare, load_strategy, make_world, read_behaviour

        behaviour = read_behaviour(customers)
        written = list(read_dialogues([data / "dialogues"]))
        examples = [(e.text, e.intent, e.emotion) for e in read_nlu([data / "nlu"]) if e.emotion]
        strategy = load_strategy(model)
        world = make_world(behaviour, written, examples, strategy)
        more = _ablated(strategy, written) if ablate else {}
        plan = Plan(dialogues=dialogues, seed=seed, explored=explored, ratings=poison, worlds=worlds)
        result = compare(world, strategy, plan, more, lambda name: typer.echo(f"playing: {name}", err=True))
        if picture is not None:
            from kefu.simulation.picture import draw

            draw(result["policies"], picture)
    if as_json:
        typer.echo(json.dumps({"dialogues": dialogues, "seed": seed, **result}, ensure_ascii=False))
        return
    _show(result, dialogues)


def _ablated(model: StrategyModel, dialogues: list[Dialogue]) -> dict[str, Policy]:
    """The same training with parts of the input left blank; no rules, which look at these parts too.

    Folds serve the temperatures, which do not change what is likeliest, so that two of them will do.
    """
    from dataclasses import replace

    from kefu.evaluation.strategy import EARLIER_TURNS
    from kefu.simulation import Learned
    from kefu.strategy import Rules, StrategyModel

    bare = Rules((), model.rules.groups)
    policies: dict[str, Policy] = {}
    for name, without in (("no emotion, no rules", ("emotion",)), ("no earlier turns, no rules", EARLIER_TURNS)):
        typer.echo(f"training: {name}", err=True)
        arguments = replace(model.arguments, without=without, folds=2)
        policies[name] = Learned(StrategyModel.train(dialogues, bare, arguments, model.encoder))
    return policies


def _show(result: Mapping[str, Any], dialogues: int) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    columns = {key: head for key, head in _COLUMNS.items() if key in next(iter(result["policies"].values()))}
    table = Table("policy", *columns.values(), title=f"{dialogues} conversations each, 95 % intervals", box=SIMPLE_HEAD)
    for name, figures in result["policies"].items():
        table.add_row(name, *(_cell(figures[key], key) for key in columns))
    Console(width=140, markup=False).print(table)
    if result["shaken"]:
        _show_shaken(result["shaken"])
    poison = result["poison"]
    if poison:
        difference = _cell(poison["difference"], "gain")
        held = "stays within" if poison["held_off"] else "LEAVES"
        typer.echo(
            f"One customer gave {poison['strategy']} {poison['ratings']} top ratings: with her weight capped, "
            f"resolution {held} the interval of the clean stream, from which it differs by {difference}."
        )


def _show_shaken(worlds: Mapping[str, Mapping[str, float]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    columns = ("policy", "least resolved", "most resolved", "worlds below learned")
    table = Table(*columns, title="the stated numbers moved by chance", box=SIMPLE_HEAD)
    for name, row in worlds.items():
        table.add_row(name, f"{row['least']:.3f}", f"{row['most']:.3f}", f"{row['below']:.0%}")
    Console(width=140).print(table)


def _cell(figure: Mapping[str, float], key: str) -> str:
    """``.583 [.530, .640]``."""
    sign, digits = ("+" if key in ("gain", "mood") else ""), (2 if key == "turns" else 3)
    texts = [re.sub(r"^([+-]?)0\.", r"\1.", f"{figure[k]:{sign}.{digits}f}") for k in ("value", "low", "high")]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"
