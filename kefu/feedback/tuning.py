"""Tunes the generator's adapter on what feedback prefers, and puts it in the present one's place if it is no worse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from kefu.feedback.pairs import FILE, preference_pairs, write_pairs
from kefu.feedback.retrain import Plan
from kefu.feedback.store import ReviewStore
from kefu.generation.adapter import CARD
from kefu.generation.preferences import PreferenceArguments


def tune(store: ReviewStore, plan: Plan, adapter: Path, run: Callable[[Sequence[str]], None]) -> str:
    """What was done, in a sentence. The earlier adapter stays beside the new one, as NAME.previous.

    Args:
        adapter: folder of the present adapter.
        run: runs `kefu` with these arguments.

    Raises:
        ModelError: the training failed.
    """
    pairs, least = preference_pairs(store, plan.data, plan.limits).pairs, PreferenceArguments().least
    if len(pairs) < least:
        return f"{len(pairs)} pairs of replies are there for the generator, and {least} are needed: it stays."
    file, new = plan.exports / FILE, plan.exports / "adapter"
    write_pairs(pairs, file)
    shutil.rmtree(new, ignore_errors=True)
    dialogues = ["--data", str(plan.data / "dialogues")]
    run(["train", "preferences", "--pairs", str(file), "--start-from", str(adapter), "--out", str(new), *dialogues])
    told = json.loads((new / CARD).read_text(encoding="utf-8"))["preferences"]
    losses = " -> ".join(f"{loss:.4f}" for loss in told["held_out_loss"] or ())
    if not told["kept"]:
        return f"The generator tuned on {len(pairs)} pairs is in {new} and not used: held-out loss {losses}."
    previous = adapter.with_name(adapter.name + ".previous")
    shutil.rmtree(previous, ignore_errors=True)
    shutil.move(adapter, previous)
    shutil.move(new, adapter)
    return (
        f"The generator was tuned on {len(pairs)} pairs (held-out loss {losses}); the earlier one is in {previous}. "
        "The action server takes it when it is started again."
    )
