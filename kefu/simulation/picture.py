"""Draws a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PANELS = {
    "resolved": "resolved",
    "turns": "customer's messages",
    "upset": "left angry or disappointed",
    "mood": "last mood, -1 angry to 1 happy",
}


def draw(policies: Mapping[str, Mapping[str, Any]], file: Path) -> None:
    """A panel a figure, a bar a policy, with the 95 % intervals of ``compare.figures``."""
    from matplotlib.figure import Figure

    names = list(policies)[::-1]
    figure = Figure(figsize=(13, 1.2 + 0.42 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    for axes, (key, title) in zip(panels, _PANELS.items()):
        values = [policies[name][key]["value"] for name in names]
        below = [max(v - policies[n][key]["low"], 0.0) for n, v in zip(names, values)]
        above = [max(policies[n][key]["high"] - v, 0.0) for n, v in zip(names, values)]
        axes.barh(range(len(names)), values, color="#7aa6c2", xerr=[below, above], ecolor="#333333", capsize=3)
        axes.set_yticks(range(len(names)), names)
        axes.set_title(title, fontsize=10)
        axes.axvline(0.0, color="#333333", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)
