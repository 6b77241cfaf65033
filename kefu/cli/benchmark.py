"""Measure the classifier on public data sets, the generator's speed, and the running assistant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from kefu.cli.output import stdout_kept

app = typer.Typer(no_args_is_help=True)


@app.command()
def nlu(
    dataset: Annotated[
        str, typer.Option(help="banking77, chnsenticorp, clinc150, ewect, smp2020; csv or jsonl for files of your own.")
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="The folder of the set's files; for csv or jsonl train.jsonl, test.jsonl and, if you like, "
            'valid.jsonl, rows {"text": "…", "label": "…"}.'
        ),
    ],
    text_column: Annotated[str | None, typer.Option(help="Of csv and jsonl. By default text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Of csv and jsonl. By default label.")] = None,
    part: Annotated[str | None, typer.Option(help="Of smp2020: usual (the default) or virus.")] = None,
    encoder: Annotated[
        str | None,
        typer.Option(help="bundled:NAME, a hub id or a folder. By default the bundled one for the texts' language."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training rows, at most.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of the encoder.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows a step.")] = None,
    frozen_layers: Annotated[int | None, typer.Option(help="Lowest encoder layers that stay as they are.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other training argument, as name=value; may be given several times."),
    ] = None,
    shots: Annotated[int | None, typer.Option(min=1, help="Train on so many rows a label.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Use so many rows of each part, for a quick look.")] = None,
    out: Annotated[Path | None, typer.Option(help="A folder to keep the trained classifier in.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the rows drawn, the order and the dropout.")] = None,
    stock: Annotated[bool, typer.Option(help="Also train Rasa's own default pipeline (DIET) on the rows.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Trains the classifier on a data set; prints accuracy, macro-F1, seconds and latency of the int8 model.

    clinc150 trains out-of-scope as one more class: accuracy is taken in scope, oos_recall on the rest.
    """
    with stdout_kept(as_json):
        from kefu.benchmark_nlu import arguments_of, benchmark, benchmark_stock, reduced
        from kefu.evaluation.datasets import Options, read_dataset
        from kefu.pretrained import encoder_for
        from kefu.text_classifier.arguments import assignments

        read = read_dataset(dataset, data, Options(text_column, label_column, part))
        fitting = encoder or encoder_for(text for text, _ in read.train)
        if frozen_layers is None and fitting.endswith("minilm-l6"):
            frozen_layers = 0  # of its six layers none is to spare
        arguments = arguments_of(
            encoder=fitting,
            epochs=epochs,
            learning_rate=learning_rate,
            batch_size=batch_size,
            frozen_layers=frozen_layers,
            seed=seed,
            **assignments(set_ or []),
        )
        rows = reduced(read, limit, shots, arguments.seed)

        def report(figures: dict[str, float]) -> None:
            told = "  ".join(f"{name} {value:.3f}" for name, value in figures.items() if name != "epoch")
            typer.echo(f"epoch {figures['epoch']:.0f}/{arguments.epochs}  {told}", err=True)

        typer.echo(f"Fine-tuning {arguments.encoder} on {len(rows.train)} rows of {dataset}", err=True)
        figures = {"kefu": benchmark(rows, arguments, on_epoch=report, out=out)}
        if stock:
            typer.echo("Training Rasa's default pipeline", err=True)
            figures["stock Rasa"] = benchmark_stock(rows)
    if as_json:
        typer.echo(json.dumps(figures if stock else figures["kefu"]))
        return
    for whose, values in figures.items():
        if stock:
            typer.echo(f"\n{whose}")
        for name, value in values.items():
            typer.echo(f"{name:14} {json.dumps(value) if not isinstance(value, float) else f'{value:.4f}'}")


@app.command()
def serve(
    model: Annotated[Path, typer.Option(help="A trained model or a folder of them.")] = Path("models"),
    clients: Annotated[list[int] | None, typer.Option(min=1, help="Customers who write at the same time.")] = None,
    messages: Annotated[int, typer.Option(min=5, help="Messages of one customer alone; many write more.")] = 40,
    only: Annotated[bool, typer.Option("--only-kefu", help="Leave stock Rasa out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """The running assistant against what `rasa init` makes (DIET, TED), one after the other, over the REST channel.

    Prints start-up seconds, resident memory, p50 and p95 in milliseconds, messages a second, and ours over theirs.
    """
    import tempfile

    with stdout_kept(as_json):
        from kefu.benchmark_serve import (
            CLIENTS,
            FROM_STOCK,
            customers_texts,
            kefu_assistant,
            measured,
            ratios,
            stock_assistant,
        )
        from kefu.settings import settings

        with tempfile.TemporaryDirectory(prefix="kefu-serve-") as name:
            scratch, many = Path(name), clients or list(CLIENTS)
            texts = customers_texts(settings().data_dir / "heldout" / "nlu.jsonl")
            typer.echo("Starting kefu", err=True)
            figures = {"kefu": measured(kefu_assistant(Path.cwd(), model, scratch), texts, many, messages)}
            if not only:
                typer.echo("Training and starting what `rasa init` makes, a minute or two", err=True)
                stock = stock_assistant(scratch)
                figures["stock Rasa"] = measured(stock, FROM_STOCK, many, messages)
                figures["ratios"] = ratios(figures["kefu"], figures["stock Rasa"])
    if as_json:
        typer.echo(json.dumps(figures))
        return
    for whose, values in figures.items():
        typer.echo(f"\n{whose}")
        for name, value in values.items():
            typer.echo(f"  {name:22} {json.dumps(value)}")


@app.command()
def generator(
    limit: Annotated[int, typer.Option(min=1, help="Write behind so many prompts; eight of them are a batch.")] = 24,
    seed: Annotated[int, typer.Option(help="Of the prompts drawn from the dialogues.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Times 40-character replies: one at a time, eight at once, and by transformers' own generate in fp32."""
    with stdout_kept(as_json):
        from kefu.benchmark_generator import benchmark
        from kefu.settings import settings

        def report(done: int, of: int) -> None:
            typer.echo(f"{done}/{of} prompts", err=True)

        figures = benchmark(settings(), limit, seed, report)
    if as_json:
        typer.echo(json.dumps(figures))
        return
    for name, value in figures.items():
        if name != "bars":
            typer.echo(f"{name:14} {json.dumps(value) if not isinstance(value, float) else f'{value:.3f}'}")
    for name, bar in figures["bars"].items():
        typer.echo(f"bar {name:14} {bar['value']:.2f} ({bar['bar']}: {'met' if bar['met'] else 'not met'})")
