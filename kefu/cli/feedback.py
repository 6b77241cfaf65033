"""Feedback into training data: harvest conversations, review them, export what was reviewed."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kefu.feedback import Decision, ReviewItem, ReviewStore

app = typer.Typer(no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def _store() -> ReviewStore:
    from kefu.feedback import ReviewStore
    from kefu.settings import settings

    return ReviewStore(settings().database)


@app.command()
def harvest(
    tracker_url: Annotated[
        str | None,
        typer.Option(help="SQLAlchemy URL of Rasa's tracker store. By default the tracker_store of --endpoints."),
    ] = None,
    endpoints: Annotated[Path, typer.Option(help="Rasa's endpoints file.")] = Path("endpoints.yml"),
    everything: Annotated[
        bool, typer.Option("--all", help="Read from the first conversation on, not the news.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Reads new conversations from Rasa's tracker store and makes a review item of each customer message.

    Items are ranked by what customers said of the replies, by the model's doubt, and by how new their words are against
    data/nlu, what was reviewed and what waits; of items that say the same, one keeps its place and the others fall.

    Phones, ids, names and addresses are replaced before anything is stored. Run it as often as you like: what was
    harvested before is not added again, but late feedback on it is noted.
    """
    from kefu.feedback import connect, load_masker, trained_texts
    from kefu.feedback import harvest as run
    from kefu.feedback import tracker_url as url_of
    from kefu.settings import settings

    url = tracker_url or url_of(endpoints)
    tracker = connect(url, "--tracker-url" if tracker_url else f"The tracker_store of {endpoints}", create=False)
    store = _store()
    chosen = settings()
    known = trained_texts([chosen.data_dir / "nlu"])
    done = run(store, tracker, load_masker(chosen.state_dir / "feedback"), everything, known)
    if as_json:
        typer.echo(json.dumps({**done.as_dict(), "items": store.counts()}))
        return
    typer.echo(f"{done.conversations} conversations with news: {done.added} items added, {done.changed} changed.")
    typer.echo(f"{store.counts()['open']} items wait for review: kefu feedback review")


@app.command("list")
def list_items(
    status: Annotated[str, typer.Option(help="open, accepted, corrected, skipped or all.")] = "open",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the most urgent first.")] = 20,
    as_json: Json = False,
) -> None:
    """Lists review items, the most urgent first: corrections, bad marks, upset customers, doubt, new words; and why."""
    from kefu.errors import DataError
    from kefu.feedback import STATUSES

    if status != "all" and status not in STATUSES:
        raise DataError(f"There is no status {status!r}. Statuses are: {', '.join(STATUSES)}, all.")
    store = _store()
    items = store.items(None if status == "all" else [status], limit)
    if as_json:
        listed = [item.as_dict() for item in items]
        typer.echo(json.dumps({"counts": store.counts(), "items": listed}, ensure_ascii=False))
        return
    for item in items:
        _print(item)
    counts = ", ".join(f"{n} {name}" for name, n in store.counts().items())
    typer.echo(f"{counts}." + ("" if any(store.counts().values()) else " Start with: kefu feedback harvest"))


def _short(text: str, length: int = 100) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= length else flat[: length - 1] + "…"


def _print(item: ReviewItem) -> None:
    from kefu.feedback import OPEN, reasons

    intent, emotion, strategy = item.labels
    thumb = {"up": " 👍", "down": " 👎"}.get(item.thumb or "", "")
    stars = f" {item.rating}★" if item.rating else ""
    typer.echo(f"#{item.id} [{item.status}] {_short(item.text)}  ({intent}, {emotion}){thumb}{stars}")
    if item.reply:
        typer.echo(f"    → {_short(item.reviewed_reply or item.reply)}  ({strategy}, {item.source})")
    if item.correction:
        typer.echo(f"    ✎ {_short(item.correction)}")
    if item.status == OPEN and (why := reasons(item)):
        typer.echo("    why: " + ", ".join(f"{name} {figure}".strip() for name, figure in why.items()))


@app.command()
def review(
    item_id: Annotated[int | None, typer.Option("--id", help="Decide this item and do not ask.")] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Labels and reply are right as they are.")] = False,
    skip: Annotated[bool, typer.Option("--skip", help="Nothing can be learned from it.")] = False,
    intent: Annotated[str | None, typer.Option(help="The right intent.")] = None,
    emotion: Annotated[str | None, typer.Option(help="The right emotion.")] = None,
    strategy: Annotated[str | None, typer.Option(help="The strategy the reply should have followed.")] = None,
    reply: Annotated[
        str | None, typer.Option(help="A better reply. Its numbers must be known facts; {key} names one.")
    ] = None,
    fact: Annotated[
        list[str] | None, typer.Option(help="key=value: a fact the better reply states. May be repeated.")
    ] = None,
    reviewer: Annotated[str | None, typer.Option(help="Your name; by default your login.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask about at most so many items.")] = None,
    as_json: Json = False,
) -> None:
    """Asks you about each open item in the terminal, or records one decision with --id.

    Examples:

        kefu feedback review

        kefu feedback review --id 12 --accept

        kefu feedback review --id 12 --intent urge_delivery --reply "这就帮您催，最晚{redeliver_by}前送到。"
    """
    from kefu.errors import DataError
    from kefu.feedback import Decision, decide, read_passages
    from kefu.settings import settings

    decision = Decision(intent, emotion, strategy, reply, _facts(fact or []), skip)
    given = decision != Decision()
    store, passages = _store(), read_passages(settings().data_dir)
    name = reviewer or _login()
    if item_id is None:
        if given or accept or as_json:
            raise DataError(
                "A decision needs --id N; `kefu feedback list` shows the ids. Without options you are asked."
            )
        from kefu.feedback.terminal import review_all

        review_all(store, name, passages, limit)
        return
    _check(accept, given, decision)
    item = decide(store, item_id, decision, name, passages)
    typer.echo(
        json.dumps(item.as_dict(), ensure_ascii=False) if as_json else f"#{item.id} {item.status} by {item.reviewer}."
    )


def _check(accept: bool, given: bool, decision: Decision) -> None:
    from dataclasses import replace

    from kefu.errors import DataError
    from kefu.feedback import Decision as Plain

    if accept == given:
        what = "Give either --accept or what is wrong" if accept else "Say what you decide"
        raise DataError(f"{what}: --accept, --skip, or --intent, --emotion, --strategy, --reply.")
    if decision.skip and replace(decision, skip=False) != Plain():
        raise DataError("--skip goes with no other decision: a skipped item teaches nothing.")


def _facts(pairs: list[str]) -> dict[str, str]:
    from kefu.errors import DataError

    facts = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise DataError(f"--fact has value {pair!r}; write it like --fact refund_eta=1到3个工作日.")
        facts[key.strip()] = value.strip()
    return facts


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""


@app.command()
def export(
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for nlu/feedback.yml and dialogues/feedback.yml. By default var/feedback."),
    ] = None,
    max_per_sender: Annotated[int, typer.Option(help="At most so many items of one customer.")] = 20,
    max_share: Annotated[float, typer.Option(help="At most this part of the export from one customer, 0 to 1.")] = 0.2,
    as_json: Json = False,
) -> None:
    """Writes everything reviewed as training data that `kefu retrain` (and `rasa train`) reads.

    One customer cannot fill the training data: what is above her share waits until others have given more. Replies with
    numbers that no fact proves are refused, and you are told where a review contradicts data/nlu. Pairs of replies, one
    preferred to the other, go to preferences.jsonl for `kefu train preferences`.
    """
    from kefu.feedback import Limits, gather, write
    from kefu.feedback.pairs import FILE, preference_pairs, write_pairs
    from kefu.settings import settings

    store, data, limits = _store(), settings().data_dir, Limits(max_per_sender, max_share)
    folder = out or settings().state_dir / "feedback"
    made, found = gather(store, data, limits), preference_pairs(store, data, limits)
    files = write(made, folder)
    (folder / FILE).unlink(missing_ok=True)
    if found.pairs:
        write_pairs(found.pairs, folder / FILE)
        files.append(folder / FILE)
    if as_json:
        pairs = {"pairs": len(found.pairs), "pairs_refused": found.refused}
        typer.echo(json.dumps({**made.as_dict(), **pairs, "files": [str(f) for f in files]}, ensure_ascii=False))
        return
    typer.echo(f"{len(made.examples)} examples, {len(made.dialogues)} dialogues, {len(found.pairs)} pairs of replies.")
    for line in [*tell(made.as_dict()), *(f"refused: {text}" for text in found.refused)]:
        typer.echo(line)
    for file in files:
        typer.echo(f"wrote {file}")


def tell(made: dict[str, object]) -> list[str]:
    """What a person should know of an export, a line each."""
    lines = [f"{made['repeated']} items repeat what is there already."] if made["repeated"] else []
    for key, title in (
        ("conflicts", "conflict"),
        ("refused", "refused"),
        ("held_out", "in the held-out set, left out"),
    ):
        found = made[key]
        lines += [f"{title}: {text}" for text in (found if isinstance(found, list) else [])]
    back = made["held_back"]
    if isinstance(back, dict) and back:
        lines.append(
            f"{sum(back.values())} items of {len(back)} customers are above their share and wait "
            "(--max-per-sender, --max-share)."
        )
    return lines
