"""Show which characters of a message made its intent and its emotion what they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kefu.cli.output import stdout_kept
from kefu.errors import ModelError

if TYPE_CHECKING:
    from rich.style import Style
    from rich.text import Text

    from kefu.text_classifier.explanation import Explanation, Weighted

_FOR, _AGAINST = (45, 212, 191), (251, 146, 60)
_FAINT = 0.08  # share of the heaviest character's weight below which a character stays uncoloured


def command(
    text: Annotated[str, typer.Argument(help="The customer's message.")],
    context: Annotated[str | None, typer.Option(help="The agent's turn before it.")] = None,
    model: Annotated[Path, typer.Option(help="A trained Rasa model, models/*.tar.gz, or a folder of them.")] = Path(
        "models"
    ),
    page: Annotated[Path | None, typer.Option("--html", help="Write a page to this file, too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    steps: Annotated[int, typer.Option(min=8, max=1024, help="More make the weights add up more exactly.")] = 32,
) -> None:
    """Show which characters of a message made its intent and its emotion what they are.

    The weights say how much of the label's logit each character brings (integrated gradients on the word embeddings).
    """
    with stdout_kept(as_json):
        explanations = _explain(text, context, model, steps)
    if page is not None:
        from kefu.text_classifier.explanation import page as page_of

        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(page_of(explanations), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps({e.task: e.as_dict() for e in explanations}, ensure_ascii=False))
        return
    _show(explanations)
    if page is not None:
        typer.echo(f"wrote {page}")


def _explain(text: str, context: str | None, model: Path, steps: int) -> list[Explanation]:
    from kefu.rasa_bridge import newest_archive
    from kefu.text_classifier.archive import unpacked
    from kefu.text_classifier.classifier import META

    if (model / META).is_file():  # a classifier that is not packed
        return _explain_folder(text, context, model, steps)
    archive = newest_archive(model)
    with unpacked(archive) as folder:
        try:
            return _explain_folder(text, context, folder, steps)
        except ModelError as error:  # it names the folder, which is gone when it is read
            raise type(error)(str(error).replace(str(folder), str(archive))) from error


def _explain_folder(text: str, context: str | None, folder: Path, steps: int) -> list[Explanation]:
    from kefu.text_classifier.attribution import Explainer

    return Explainer(folder).explain(text, context, steps)


def _show(explanations: Sequence[Explanation]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from kefu.text_classifier.explanation import gloss_of

    console = Console(highlight=False)
    table = Table(title="what weighs most, in logits", title_justify="left")
    for e in explanations:
        head = f"{e.task}: {e.label} {gloss_of(e.task, e.label)}".rstrip()
        before = (*_coloured(e, e.context), " → ") if e.context else ()
        console.print(Text(head, "bold"), f"  {e.probability:.1%}  ", *before, *_coloured(e, e.characters), sep="")
        table.add_column(e.task)
        table.add_column(f"{e.gain:+.2f} in all", justify="right")
    for row in zip_longest(*(e.strongest() for e in explanations), fillvalue=None):
        table.add_row(*(cell for pair in row for cell in ((Text(pair[0]), f"{pair[1]:+.2f}") if pair else ("", ""))))
    console.print(table)
    misses = ", ".join(f"{e.completeness_error:.2f}" for e in explanations)
    key = Text.assemble(
        (" for ", _style(1.0)), " and ", (" against ", _style(-1.0)), " the label. The weights add up to "
    )
    console.print(key, f"its logit less the baseline's, but for {misses}.", sep="", soft_wrap=True)


def _coloured(e: Explanation, characters: Weighted) -> list[Text]:
    from rich.text import Text

    return [Text(character, _style(e.strength(weight))) for character, weight in characters]


def _style(share: float) -> Style | str:
    """The ground of a character, the deeper the more it weighs; what weighs next to nothing has none."""
    from rich.color import Color
    from rich.style import Style

    if abs(share) < _FAINT:
        return ""
    red, green, blue = (255 - (255 - part) * abs(share) for part in (_FOR if share > 0 else _AGAINST))
    return Style(color="black", bgcolor=Color.from_rgb(red, green, blue))
