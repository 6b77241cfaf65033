"""Measure a trained model on labelled files; shares go from 0 to 1."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kefu.cli.output import stdout_kept

app = typer.Typer(no_args_is_help=True)

_MODEL = typer.Option(help="A trained Rasa model, models/*.tar.gz, or a folder of them (the newest is taken).")
_TRANSCRIPTS = typer.Option(
    help='JSON lines {"id", "turns": [{"user", "system"}]}; rows of --data then name "dialogue" and "turn" in them.'
)
_PICTURE = typer.Option(help="A .png for the confusion matrix.")
_JSON = typer.Option("--json", help="Print one JSON object and nothing else.")


@app.command()
def nlu(
    model: Annotated[Path, _MODEL],
    data: Annotated[Path, typer.Option(help='JSON lines: {"text": "…", "context"?, "intent"?, "emotion"?}')],
    transcripts: Annotated[Path | None, _TRANSCRIPTS] = None,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Accuracy, macro-F1 and calibration of intent and emotion, and the time a message takes."""
    with stdout_kept(as_json):
        from kefu.evaluation.nlu import evaluate_nlu, read_nlu_rows
        from kefu.rasa_bridge import RasaModel

        rows = read_nlu_rows(data, transcripts)
        figures = evaluate_nlu(RasaModel.load(model), rows)
    _show(figures, as_json)


@app.command()
def entities(
    data: Annotated[Path, typer.Option(help='JSON lines: {"text": "…", "entities": [{"entity": "…", "value": "…"}…]}')],
    model: Annotated[Path, _MODEL] = Path("models"),
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Precision, recall and F1 of the spans found, by type and over all; a type that no row carries is not counted."""
    with stdout_kept(as_json):
        from kefu.evaluation.entities import evaluate_entities, read_entity_rows
        from kefu.rasa_bridge import RasaModel

        rows = read_entity_rows(data)
        figures = evaluate_entities(RasaModel.load(model), rows)
    _show(figures, as_json)


@app.command()
def strategy(
    model: Annotated[Path, _MODEL],
    data: Annotated[Path, typer.Option(help='JSON lines: {"context": [["user", "…"]…], "strategy": ["inform"…]}')],
    transcripts: Annotated[Path | None, _TRANSCRIPTS] = None,
    picture: Annotated[Path | None, _PICTURE] = None,
    beside: Annotated[
        bool, typer.Option("--baselines", help="Also the commonest strategy, and the rules alone.")
    ] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """How often the strategy chosen, or one of the first three, is among the accepted ones.

    --data also takes a .yml of dialogues, whose agents' turns are then the rows.
    """
    with stdout_kept(as_json):
        from kefu.dialogues import read_dialogues
        from kefu.evaluation.strategy import baselines, evaluate_strategy, read_strategy_rows
        from kefu.rasa_bridge import RasaModel

        rows = read_strategy_rows(data, transcripts)
        pairs: list[tuple[str, str]] = []
        loaded = RasaModel.load(model)
        figures = evaluate_strategy(loaded, rows, confusion=pairs)
        others = {}
        if beside:
            from kefu.settings import settings

            others = baselines(loaded, rows, list(read_dialogues([settings().data_dir / "dialogues"])))
        if picture is not None:
            from kefu.evaluation.picture import confusion_matrix
            from kefu.taxonomy import STRATEGIES

            confusion_matrix(pairs, [s for s in STRATEGIES if any(s in pair for pair in pairs)], picture)
    if as_json:
        _show({**figures, "baselines": others} if beside else figures, as_json)
    else:
        _show({"strategy": figures, **others}, as_json)


@app.command()
def generator(
    data: Annotated[list[Path] | None, typer.Option(help="Dialogues: files or folders; may be given often.")] = None,
    adapter: Annotated[str, typer.Option(help="Its folder, or none; empty takes KEFU_ADAPTER.")] = "",
    model: Annotated[Path, _MODEL] = Path("models"),
    held_out: Annotated[
        bool, typer.Option("--held-out/--all", help="The dialogues that the adapter was not trained on, or all.")
    ] = True,
    strategies: Annotated[
        str, typer.Option(help="What drafts are asked for: all, or names with commas. By default as when serving.")
    ] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="So many agent turns, drawn by the adapter's seed.")] = None,
    deadline: Annotated[float, typer.Option(help="Seconds for a reply; 0 takes KEFU_REPLY_DEADLINE.")] = 0.0,
    out: Annotated[Path | None, typer.Option(help="A .jsonl for the rows, to be read by a person.")] = None,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Whether the generator answers, keeps to the facts, does what the strategy says, and varies its words.

    Requests are the agents' turns of dialogues. "model" is the share that it answered and no template, "grounded" that
    of the numbers sent which facts, passages or the customer vouch for, "read_back" that of its replies off which the
    strategy asked for is read (by --model's reader, which was trained on the humans' turns: their figure is a ceiling).
    """
    import random
    from dataclasses import replace

    from kefu.errors import SettingsError
    from kefu.settings import settings

    chosen = replace(settings(), adapter=adapter) if adapter else settings()
    if chosen.generator == "none":
        raise SettingsError("Setting 'KEFU_GENERATOR' has value 'none': there is no generator to measure.")
    with stdout_kept(as_json):
        from kefu.dialogues import read_dialogues
        from kefu.evaluation.generator import bars, evaluate_generator, refusals
        from kefu.generation import Guard, Responder, Templates
        from kefu.generation.adapter import held_out_by
        from kefu.generation.engine import load_engine
        from kefu.generation.examples import examples_of, split
        from kefu.simulation import load_strategy

        reader = load_strategy(model).read_strategies
        share, seed = held_out_by(chosen.adapter)
        examples = examples_of(read_dialogues(data or [chosen.data_dir / "dialogues"]))
        examples = split(examples, share, seed)[1] if held_out else examples
        if limit is not None and limit < len(examples):
            examples = random.Random(seed).sample(examples, limit)
        engine, guard = load_engine(chosen), Guard.load(chosen.data_dir)
        drafts, drafted = chosen.reply_drafts, _strategies(strategies)
        responder = Responder(engine, guard, Templates(), chosen.max_reply_tokens, drafts, drafted)
        say = _counted(len(examples))
        figures, rows = evaluate_generator(examples, responder, reader, deadline or chosen.reply_deadline, say)
    if out is not None:
        lines = (json.dumps(row.as_dict(), ensure_ascii=False) for row in rows)
        out.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    whole: dict[str, Any] = {"figures": figures, "bars": bars(figures["all"]), "refused": refusals(rows)}
    if as_json:
        typer.echo(json.dumps(whole, ensure_ascii=False))
        return
    _show(_turned(figures), False)
    _show(whole["bars"], False)
    typer.echo("Left to templates: " + (", ".join(f"{why} {n}" for why, n in whole["refused"].items()) or "none"))


def _strategies(names: str) -> frozenset[str]:
    """Of a list with commas; empty for those that are served."""
    from kefu.errors import SettingsError
    from kefu.generation.responder import DRAFTED
    from kefu.taxonomy import STRATEGIES

    if not names:
        return DRAFTED
    wanted = frozenset(STRATEGIES) if names == "all" else frozenset(filter(None, map(str.strip, names.split(","))))
    if unknown := sorted(wanted - set(STRATEGIES)):
        raise SettingsError(f"'--strategies' has value {unknown[0]!r}; known are all, {', '.join(STRATEGIES)}.")
    return wanted


def _counted(whole: int) -> Callable[[int], None]:
    """Says on stderr every 50 replies how many are written."""

    def say(done: int) -> None:
        if done % 50 == 0:
            typer.echo(f"{done} of {whole} replies", err=True)

    return say


def _turned(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """A line for each figure: there are more figures than a terminal has columns for."""
    names = dict.fromkeys(name for group in figures.values() for name in group)
    return {name: {key: group.get(name) for key, group in figures.items()} for name in names}


@app.command()
def retrieval(
    data: Annotated[
        Path, typer.Option(help='JSON lines: {"question": "…", "intent"?, "passage": ["ID of one that answers it"…]}')
    ] = Path("data/heldout/retrieval.jsonl"),
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """How often a passage that answers a question is found first, or among the first three, and how fast.

    By words and meaning together as a reply gets it, and by each alone; with the intent where it is known, and without.
    """
    with stdout_kept(as_json):
        from kefu.evaluation.retrieval import evaluate_retrieval, read_retrieval_rows
        from kefu.knowledge import Retriever, read_passages
        from kefu.settings import settings

        rows = read_retrieval_rows(data, {passage.id for passage in read_passages(settings().data_dir)})
        retriever = Retriever.load()
        retriever.search(rows[0].question)  # what loads on first use is not timed
        figures = evaluate_retrieval(retriever, rows)
    _show(figures, as_json)


@app.command()
def policy(
    model: Annotated[Path, _MODEL] = Path("models"),
    against: Annotated[Path | None, typer.Option(help="A second model, to compare with.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="A .jsonl of logged choices. By default those that were harvested.")
    ] = None,
    everyone: Annotated[
        bool, typer.Option("--everyone", help="Count the customers too from whom the model may have learned.")
    ] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """What the model's strategies would have earned of customers' feedback, estimated from choices that were logged.

    Rewards go from -1 to 1: thumbs, stars, corrections, thanks, asking for a human, the turn of the emotion. "snips"
    and "dr" are two estimators with their 95 % intervals, over customers. Choices are logged where StrategyPolicy's
    exploration is above 0; one customer in four is kept for these estimates, and no model learns from her.
    """
    with stdout_kept(as_json):
        from kefu.errors import DataError
        from kefu.feedback import ReviewStore
        from kefu.feedback.choices import stored_decisions
        from kefu.feedback.policies import GATHER, Split, contest, estimate, mean_reward, split
        from kefu.settings import settings
        from kefu.strategy.decisions import read_decisions, within

        found = read_decisions(data) if data else stored_decisions(ReviewStore(settings().database))
        judges = within(found) if everyone else split(found).judges
        if lacking := Split([], judges).lacking:
            raise DataError(f"{lacking}. {GATHER}")
        from kefu.rasa_bridge import RasaModel

        rows = [d.as_dict() for d in judges]
        choices = [RasaModel.load(path).choices(rows) for path in (model, against) if path is not None]
        figures: dict[str, Any] = {"logged": mean_reward(judges), "model": estimate(judges, choices[0]).as_dict()}
        if len(choices) == 2:
            made = contest(judges, choices[1], choices[0])
            figures |= {"against": made.champion.as_dict(), "difference": made.difference.as_dict()}
    if as_json:
        typer.echo(json.dumps(figures))
        return
    typer.echo(f"The choices as they were made earned {figures['logged']:+.3f} each.")
    _show({name: _estimated(figures[name]) for name in ("model", "against") if name in figures}, False)
    if "difference" in figures:
        typer.echo(f"The model earns {_between(figures['difference'])} more than the other.")


def _estimated(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _between(value) if isinstance(value, dict) else value for name, value in figures.items()}


def _between(interval: Mapping[str, float]) -> str:
    return "{value:+.3f} [{low:+.3f}, {high:+.3f}]".format(**interval)


@app.command()
def robustness(
    model: Annotated[Path, _MODEL],
    data: Annotated[Path, typer.Option(help='JSON lines: {"text": "…", "context"?, "intent"?, "emotion"?}')],
    transcripts: Annotated[Path | None, _TRANSCRIPTS] = None,
    share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of a text's characters, that are spoiled.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Of the places and what is put there.")] = 7,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Intent and emotion on clean texts and on mistyped ones: sound-alike, swapped, dropped, traditional, full-width.

    Behind a figure stand the points to the clean texts; "noisy" is the share of texts that it changed at all.
    """
    with stdout_kept(as_json):
        from kefu.evaluation.nlu import read_nlu_rows
        from kefu.evaluation.robustness import evaluate_robustness
        from kefu.rasa_bridge import RasaModel

        rows = read_nlu_rows(data, transcripts)
        figures = evaluate_robustness(RasaModel.load(model), rows, share, seed)
    _show(figures if as_json else {name: _robust(group) for name, group in figures.items()}, as_json)


def _robust(group: Mapping[str, Any]) -> dict[str, Any]:
    """One line of the table: each figure and the points to the clean one."""
    line: dict[str, Any] = {"noisy": group["changed"]}
    for task in ("intent", "emotion"):
        for name, short in (("accuracy", "acc"), ("macro_f1", "F1")):
            figure, drop = group[task][name], group[task].get(f"{name}_drop")
            line[f"{task} {short}"] = f"{figure:.3f}" if drop is None else f"{figure:.3f} {0.0 - drop:+5.1f}"
    return line


@app.command("cross-validate")
def cross_validate(
    dialogues: Annotated[list[Path], typer.Option(help="Dialogue files or folders; may be given again.")] = [  # noqa: B006
        Path("data/dialogues")
    ],
    rules: Annotated[Path, typer.Option(help="The rule file.")] = Path("data/strategy_rules.yml"),
    folds: Annotated[int, typer.Option(min=2, help="Parts that the dialogues are dealt into.")] = 5,
    encoder: Annotated[str, typer.Option(help="As in config.yml; empty takes KEFU_ENCODER.")] = "",
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
        arguments = TrainingArguments(encoder=encoder or settings().encoder)
        figures = validate(read, read_rules(rules), arguments, load_encoder(arguments.encoder), folds)
    _show(figures if as_json else {f"{v}, {k}": f for v, by in figures.items() for k, f in by.items()}, as_json)


@app.command()
def safety(
    data: Annotated[Path, typer.Option(help="The attacks.")] = Path("data/attacks.yml"),
    generator: Annotated[
        bool, typer.Option("--model", help="Also play them with the generator that KEFU_GENERATOR names.")
    ] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Attacks by kind: how many were tried and how many succeeded; those that did are named.

    An engine that writes what the attacker wants stands in for the model; nothing it writes may be sent. The attempts
    on other people's orders run against a seeded shop in memory.
    """
    with stdout_kept(as_json):
        from dataclasses import replace

        from kefu.evaluation.safety import attempts, hostile, played, read_attacks, summary
        from kefu.generation import Guard, load_responder
        from kefu.settings import settings
        from kefu.shop import Shop, now, seed

        attacks = read_attacks(data)
        tries = list(hostile(attacks, Guard.load(settings().data_dir)))
        shop = Shop("sqlite://")
        seed(shop)
        tries += attempts(shop, now())
        if generator:
            slow = replace(settings(), reply_deadline=20.0)
            tries += (replace(t, kind=f"{t.kind} (model)") for t in played(attacks, load_responder(slow)))
    got_through = [{"name": t.name, "leak": t.leak} for t in tries if t.leak]
    if as_json:
        typer.echo(json.dumps({"kinds": summary(tries), "succeeded": got_through}, ensure_ascii=False))
    else:
        _show(summary(tries), as_json)
        for one in got_through:
            typer.echo(f"{one['name']}: {one['leak']}")


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
    return str(value) if isinstance(value, (int, str)) else f"{value:.3f}"
