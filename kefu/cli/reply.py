"""Answer a file of conversations with a trained model: intent, emotion, strategy and reply for each row."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kefu.errors import DataError, NotFound

if TYPE_CHECKING:
    from kefu.generation import Responder
    from kefu.knowledge import Retriever

SPEAKERS = ("user", "agent")


def command(
    model: Annotated[Path, typer.Option(help="A trained Rasa model, models/*.tar.gz, or a folder of them.")],
    data: Annotated[Path, typer.Option(help='JSON lines: {"context": [["user", "…"], ["agent", "…"]], "facts": {}}')],
    out: Annotated[Path, typer.Option(help="The same rows with intent, emotion, strategy, reply, source, latency_ms.")],
) -> None:
    """Write a reply to each conversation in a file; the customer's last message is the one that is answered."""
    rows = list(read_rows(data))
    from kefu.generation import load_responder
    from kefu.knowledge import Retriever
    from kefu.rasa_bridge import RasaModel
    from kefu.settings import settings

    rasa, retriever, responder = RasaModel.load(model), Retriever.load(), load_responder(settings())
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8") as file:
        for row in rows:
            answered = {**row, **answer(row, rasa, retriever, responder)}
            file.write(json.dumps(answered, ensure_ascii=False) + "\n")
            file.flush()
    typer.echo(f"{out}: {len(rows)} replies.")


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of conversations, as they stand.

    Raises:
        NotFound: there is no such file.
        DataError: a row breaks the format; the message names file, line and key.
    """
    if not path.is_file():
        raise NotFound(f"There is no file {str(path)!r} with conversations.")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{where} is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise DataError(f"{where}: a row is an object, not {line[:40]!r}.")
        _check_context(row.get("context"), where)
        facts = row.get("facts") or {}
        if not isinstance(facts, dict) or not all(isinstance(v, (str, int, float)) for v in facts.values()):
            raise DataError(f"{where}: 'facts' maps names to texts, but it was: {facts!r}")
        yield row


def _check_context(context: Any, where: str) -> None:
    if not isinstance(context, list) or not context:
        raise DataError(f"{where}: 'context' is a list of [speaker, text], but it was: {context!r}")
    for turn in context:
        if not isinstance(turn, list) or len(turn) != 2 or turn[0] not in SPEAKERS or not isinstance(turn[1], str):
            raise DataError(f'{where}: \'context\' has the turn {turn!r}; a turn is ["user" or "agent", text].')
    if all(speaker != "user" for speaker, _ in context):
        raise DataError(f"{where}: 'context' has no turn of 'user', so there is nothing to answer.")


def answer(row: Mapping[str, Any], rasa: Any, retriever: Retriever, responder: Responder) -> dict[str, Any]:
    """What one row gains: intent, emotion, strategy, reply, source, latency_ms (all steps together).

    A row without facts is a transcript: nothing is known of what business actions would have found.
    """
    from kefu.generation import ReplyRequest
    from kefu.generation.request import last_words
    from kefu.generation.sources import passages_for
    from kefu.taxonomy import stages_of

    began = time.monotonic()
    turns = [(str(speaker), str(text)) for speaker, text in row["context"]]
    last = max(i for i, (speaker, _) in enumerate(turns) if speaker == "user")
    turns = turns[: last + 1]
    facts = {str(k): str(v) for k, v in (row.get("facts") or {}).items()}
    parsed, matter = rasa.read(turns)
    strategy = rasa.strategies(turns, facts=facts or None)[0][0]
    named = (matter.intent, matter.request) if matter else None
    passages = passages_for(retriever, last_words(turns), parsed.intent, named, bool(facts))
    topic = matter.intent if matter else None
    stage = next(iter(stages_of(strategy)), None)
    request = ReplyRequest(strategy, parsed.intent, parsed.emotion, stage, facts, passages, turns, topic=topic)
    reply = responder.reply(request)
    return {
        "intent": parsed.intent,
        "emotion": parsed.emotion,
        "strategy": strategy,
        "reply": reply.text,
        "source": reply.source,
        "latency_ms": round((time.monotonic() - began) * 1000, 1),
    }
