"""Train the models that Rasa does not train: the encoder's adapter and the generator's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True)


@app.command()
def encoder(
    out: Annotated[Path, typer.Option(help="Folder for the adapter.")] = Path("components/adapter"),
    base: Annotated[str, typer.Option(help="bundled:NAME, a hub id or a folder; empty takes KEFU_ENCODER.")] = "",
    epochs: Annotated[int, typer.Option(help="Passes over the examples; the best one is kept.")] = 5,
    learning_rate: Annotated[float, typer.Option(help="The peak of the schedule; about 1e-3 with --lora.")] = 3e-4,
    rank: Annotated[int, typer.Option(min=1, help="Rank of the adapter's matrices.")] = 32,
    lora: Annotated[bool, typer.Option(help="Train the adapter alone: slower here, but needs less memory.")] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other training argument, as name=value; may be given several times."),
    ] = None,
) -> None:
    """Adapt the encoder's layers to the shop's language; `rasa train` then starts from there and takes minutes.

    It learns intent and emotion from data/nlu and data/dialogues, all but the tenth that `rasa train` is judged by.
    A quarter to half an hour on two cores; once in a while is enough.
    """
    from kefu.settings import settings
    from kefu.text_classifier.arguments import assignments
    from kefu.text_classifier.training import adapt

    chosen = {"encoder": base or settings().encoder, "epochs": epochs, "learning_rate": learning_rate}
    arguments = {**chosen, "lora_rank": rank if lora else 0, **assignments(set_ or [])}
    card = adapt(settings().data_dir, out, arguments, rank, typer.echo)
    typer.echo(f"{out}: {card['examples']} examples, {card['seconds']:.0f} s, {card['held_out']}")


@app.command("search")
def search_(
    trials: Annotated[int, typer.Option(min=1, help="Trainings, at most.")] = 20,
    minutes: Annotated[float | None, typer.Option(help="After which no training begins.")] = None,
    argument: Annotated[
        list[str] | None, typer.Option(help="Search this argument; may be given several times. By default all ten.")
    ] = None,
    config: Annotated[Path, typer.Option(help="Its intent classifier's arguments are gone from.")] = Path("config.yml"),
    storage: Annotated[Path, typer.Option(help="SQLite file of the trials; a search in it is gone on with.")] = Path(
        "var/search.db"
    ),
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other training argument, as name=value; may be given several times."),
    ] = None,
) -> None:
    """Search for better arguments of the classifiers' training (optuna); prints lines for config.yml.

    Judged by the tenth of data/nlu and data/dialogues that `rasa train` holds out too, never by data/heldout.
    """
    import yaml

    from kefu.errors import SettingsError
    from kefu.settings import settings
    from kefu.text_classifier.arguments import TrainingArguments, assignments
    from kefu.text_classifier.search import SPACE, search
    from kefu.text_classifier.training import labelled, tasks_of

    if unknown := sorted(set(argument or ()) - set(SPACE)):
        raise SettingsError(f"'--argument' has value {unknown[0]!r}; known are {', '.join(SPACE)}.")
    pipeline = yaml.safe_load(config.read_text(encoding="utf-8")).get("pipeline", [])
    given: dict[str, Any] = next((c for c in pipeline if str(c.get("name")).endswith("BertIntentClassifier")), {})
    arguments = TrainingArguments.from_config({**given, **assignments(set_ or [])})
    examples = labelled(settings().data_dir)
    weights = {"emotion": float(given.get("emotion_weight", 0.7))}
    best, chosen = search(
        examples, tasks_of(examples), arguments, trials, storage, argument or (), minutes, typer.echo, weights=weights
    )
    typer.echo(f"best held-out macro-F1 {best:.4f}:")
    for name, value in chosen.items():
        typer.echo(f"    {name}: {value:.3g}")


@app.command()
def generator(
    data: Annotated[list[Path] | None, typer.Option(help="Dialogues: files or folders; may be given often.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the adapter.")] = Path("actions/adapter"),
    base: Annotated[str, typer.Option(help="bundled:NAME, a hub id or a folder; empty takes KEFU_GENERATOR.")] = "",
    method: Annotated[str, typer.Option(help="lora, adalora, prefix, or full for every weight.")] = "lora",
    start_from: Annotated[str, typer.Option(help="Folder of an adapter to go on from.")] = "",
    epochs: Annotated[int, typer.Option(help="Passes over the replies; the best state is kept.")] = 1,
    patience: Annotated[int, typer.Option(help="Checks (four an epoch) without a better one, then it stops.")] = 4,
    minutes: Annotated[float, typer.Option(help="Then it stops at the best so far; 0 for no limit.")] = 0.0,
    learning_rate: Annotated[
        float, typer.Option(help="The peak of the schedule; about 5e-5 for full, 1e-2 for prefix.")
    ] = 4e-4,
    batch_size: Annotated[int, typer.Option(help="Replies to a forward pass.")] = 8,
    accumulate: Annotated[int, typer.Option(help="Forward passes to a step.")] = 1,
    checkpointing: Annotated[bool, typer.Option("--checkpointing", help="Less memory, more time.")] = False,
    precision: Annotated[str, typer.Option(help="bf16, fp32, or auto for the faster one.")] = "auto",
    rank: Annotated[int, typer.Option(help="Rank of the LoRA matrices.")] = 16,
    held_out: Annotated[float, typer.Option(help="Share of the dialogues to measure the loss on.")] = 0.1,
    rehearsals: Annotated[int, typer.Option(help="Labelled messages of data/nlu to answer with templates.")] = 400,
    knowledge: Annotated[bool, typer.Option(help="Also learn to quote the passages of data/knowledge.")] = True,
    seed: Annotated[int, typer.Option(help="For split, order and start.")] = 7,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 takes KEFU_THREADS.")] = 0,
) -> None:
    """Fine-tune the reply generator on the hand-written dialogues (a LoRA adapter of a few MB).

    Several GPUs: accelerate launch -m kefu.cli train generator. How long it took stands in the adapter's kefu.json.
    The running action server takes the new adapter when it is started again.
    """
    from kefu.dataset.nlu import read_nlu
    from kefu.generation.guard import Guard
    from kefu.generation.rehearsal import Message
    from kefu.generation.training import GeneratorTrainingArguments, train_generator
    from kefu.knowledge import read_passages
    from kefu.settings import settings

    chosen = settings()
    arguments = GeneratorTrainingArguments(
        base=base or chosen.generator,
        method=method,
        start_from=start_from,
        epochs=epochs,
        patience=patience,
        minutes=minutes,
        learning_rate=learning_rate,
        batch_size=batch_size,
        accumulate=accumulate,
        checkpointing=checkpointing,
        precision=precision,
        rank=rank,
        held_out=held_out,
        rehearsals=rehearsals,
        seed=seed,
        threads=threads or chosen.threads,
    )
    passages = [p for p in read_passages(chosen.data_dir) if not p.id.startswith("product:")] if knowledge else []
    nlu = read_nlu([chosen.data_dir / "nlu"]) if rehearsals else []
    messages = [Message(m.text, m.intent, m.emotion, m.context) for m in nlu]
    card = train_generator(
        data or [chosen.data_dir / "dialogues"],
        out,
        arguments,
        passages,
        messages,
        Guard.load(chosen.data_dir),
        report=typer.echo,
    )
    typer.echo(
        f"{out}: {card['replies']} replies, {card['rehearsals']} rehearsals, {card['passages']} passages; "
        f"held-out loss {card['held_out_loss']} on {card['held_out_replies']} replies; {card['seconds']:.0f} s."
    )


@app.command()
def value(
    data: Annotated[
        list[Path] | None, typer.Option(help="Dialogue folders or files; by default data/dialogues.")
    ] = None,
    held_out: Annotated[
        Path | None, typer.Option(help="Dialogues to measure on; by default data/heldout/dialogues.yml.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("actions/value.npz"),
    seed: Annotated[int, typer.Option(help="Of the replies to other moments.")] = 7,
) -> None:
    """Train what compares the drafts of two strategies (KEFU_COMPARE_DRAFTS), a minute or two.

    Prints how often a written reply is worth more than a reply to another moment, of the same strategy and of another.
    """
    from kefu.dialogues import read_dialogues
    from kefu.settings import settings
    from kefu.strategy.encoder import load_encoder
    from kefu.strategy.value import ValueModel

    chosen = settings()
    model = ValueModel.train(
        list(read_dialogues(data or [chosen.data_dir / "dialogues"])), load_encoder(chosen.encoder), seed
    )
    model.save(out)
    figures = model.accuracy(list(read_dialogues([held_out or chosen.data_dir / "heldout" / "dialogues.yml"])))
    for name, figure in figures.items():
        typer.echo(f"{name:16} {figure:.4g}")


@app.command()
def preferences(
    pairs: Annotated[
        Path | None, typer.Option(help="A .jsonl of pairs. By default what `kefu feedback export` wrote.")
    ] = None,
    start_from: Annotated[str, typer.Option(help="Folder of the adapter to tune; empty takes KEFU_ADAPTER.")] = "",
    out: Annotated[Path, typer.Option(help="Folder for the tuned adapter.")] = Path("var/adapter-preferences"),
    data: Annotated[
        list[Path] | None, typer.Option(help="Dialogues whose held-out tenth must stay well said; may be given often.")
    ] = None,
    beta: Annotated[float, typer.Option(help="How dear it is to leave the present adapter.")] = 0.1,
    epochs: Annotated[int, typer.Option(help="Passes over the pairs.")] = 1,
    learning_rate: Annotated[float, typer.Option(help="The peak of the schedule.")] = 2e-5,
    least: Annotated[int, typer.Option(min=1, help="Fewer pairs are refused.")] = 50,
    bound: Annotated[float, typer.Option(help="The most that the held-out loss may rise.")] = 0.05,
    seed: Annotated[int, typer.Option(help="For the order.")] = 7,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 takes KEFU_THREADS.")] = 0,
) -> None:
    """Tune the generator on pairs of replies, one preferred to the other (DPO), from reviews and thumbs.

    Writes a new adapter; the present one stays. Take it with KEFU_ADAPTER=FOLDER once `kefu evaluate generator` is
    content with it. `kefu retrain` does all of this where KEFU_LEARN_PREFERENCES is set.
    """
    from kefu.dialogues import read_dialogues
    from kefu.generation.adapter import held_out_by
    from kefu.generation.examples import examples_of, split
    from kefu.generation.preferences import PreferenceArguments, read_pairs, train_preferences
    from kefu.settings import settings

    chosen = settings()
    start = start_from or chosen.adapter
    arguments = PreferenceArguments(
        beta=beta,
        epochs=epochs,
        learning_rate=learning_rate,
        least=least,
        bound=bound,
        seed=seed,
        threads=threads or chosen.threads,
    )
    found = read_pairs(pairs or chosen.state_dir / "feedback" / "preferences.jsonl")
    share, by = held_out_by(start)
    examples = examples_of(read_dialogues(data or [chosen.data_dir / "dialogues"]))
    held_out = split(examples, share, by)[1]
    card = train_preferences(found, chosen.generator, Path(start), out, arguments, held_out)
    told = card["preferences"]
    losses = " -> ".join(f"{loss:.4f}" for loss in told["held_out_loss"] or ())
    typer.echo(
        f"{out}: {told['pairs']} pairs, margin {told['margin'][0]:.2f} -> {told['margin'][1]:.2f} nats; "
        f"held-out loss {losses}; {told['seconds']:.0f} s."
    )
    if not told["kept"]:
        typer.echo(
            f"The held-out loss rose by more than {bound}: the present adapter speaks better. Do not take this one."
        )
