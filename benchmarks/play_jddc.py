"""Plays the customers' turns of real shopping-service dialogues through the REST channel of the running assistant.

    .venv/bin/python benchmarks/play_jddc.py --data FOLDER [--dialogues 50] [--url URL] [--examples 10]

FOLDER holds ``valid_dialogues.jsonl`` of the JDDC corpus (not part of this project; its rows have ``id`` and ``turns``
with ``user`` texts). Prints how many turns failed or stayed unanswered, the shares of model and template replies, and
the latency of a turn as the customer waits for it. Exits 1 when a turn failed or was not answered.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import track

from kefu.evaluation import percentile


def say(client: httpx.Client, sender: str, text: str) -> tuple[list[dict[str, Any]], float]:
    """The replies to one message, and the milliseconds until they were there."""
    started = time.perf_counter()
    answer = client.post("/webhooks/rest/webhook", json={"sender": sender, "message": text})
    elapsed = (time.perf_counter() - started) * 1e3
    answer.raise_for_status()
    return answer.json(), elapsed


def play(client: httpx.Client, dialogues: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """(a row for each turn, number of failed turns)."""
    rows, failed = [], 0
    for dialogue in track(dialogues, "dialogues", console=Console(stderr=True)):
        sender = f"play-{dialogue['id']}-{uuid.uuid4().hex[:8]}"
        for turn in dialogue["turns"]:
            try:
                replies, elapsed = say(client, sender, turn["user"])
            except (httpx.HTTPError, ValueError) as error:
                failed += 1
                print(f"failed: {turn['user'][:40]!r}: {error}", file=sys.stderr)
                continue
            rows.append({"id": dialogue["id"], "user": turn["user"], "replies": replies, "latency_ms": elapsed})
    return rows, failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="folder with valid_dialogues.jsonl")
    parser.add_argument("--dialogues", type=int, default=50)
    parser.add_argument("--url", default="http://127.0.0.1:5005")
    parser.add_argument("--examples", type=int, default=10, help="unedited turns to print")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--out", type=Path, help="write every turn here as JSON lines (it holds the corpus' sentences: do not commit)"
    )
    arguments = parser.parse_args()
    file = arguments.data / "valid_dialogues.jsonl"
    if not file.is_file():
        print(f"skipped: there is no {file}; name the corpus' folder with --data", file=sys.stderr)
        return 0
    dialogues = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    chosen = random.Random(arguments.seed).sample(dialogues, min(arguments.dialogues, len(dialogues)))
    with httpx.Client(base_url=arguments.url, timeout=60) as client:
        rows, failed = play(client, chosen)
    texts = [[r for r in row["replies"] if r.get("text")] for row in rows]
    sources = Counter(r.get("metadata", {}).get("source", "none") for replies in texts for r in replies)
    strategies = Counter(r.get("metadata", {}).get("strategy", "none") for replies in texts for r in replies)
    unanswered = sum(not replies for replies in texts)
    total = sum(sources.values())
    latencies = [row["latency_ms"] for row in rows]
    figures = {
        "dialogues": len(chosen),
        "turns": len(rows) + failed,
        "failed": failed,
        "unanswered": unanswered,
        "replies": total,
        "sources": {k: round(v / max(1, total), 4) for k, v in sources.most_common()},
        "strategies": {k: round(v / max(1, total), 4) for k, v in strategies.most_common()},
        "latency_ms": {"p50": round(percentile(latencies, 0.5)), "p95": round(percentile(latencies, 0.95))},
    }
    print(json.dumps(figures, ensure_ascii=False, indent=1))
    for row in random.Random(arguments.seed + 1).sample(rows, min(arguments.examples, len(rows))):
        print(f"\n客户：{row['user']}")
        for reply in row["replies"]:
            meta = reply.get("metadata", {})
            print(f"客服：{reply.get('text')}  [{meta.get('strategy')}, {meta.get('source')}]")
    if arguments.out:
        arguments.out.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
    return 1 if failed or unanswered else 0


if __name__ == "__main__":
    sys.exit(main())
