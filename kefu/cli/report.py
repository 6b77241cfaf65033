"""Sums up a period for the shop: questions, feelings, ratings, tickets, complaints, as Markdown, HTML or JSON.

Reads the new conversations first (as `kefu feedback harvest` does), so that the report is up to date. Customers' words
appear in it with personal data replaced.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kefu.feedback import ReviewStore


def command(
    since: Annotated[str, typer.Option(help="Start: 7d, 24h, 2w, or a day such as 2026-11-01.")] = "7d",
    until: Annotated[str | None, typer.Option(help="End, not included, written likewise. By default now.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write to this .md or .html file; by default Markdown is printed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    no_harvest: Annotated[
        bool, typer.Option("--no-harvest", help="Report what was harvested before and read no new conversations.")
    ] = False,
    tracker_url: Annotated[
        str | None,
        typer.Option(help="SQLAlchemy URL of Rasa's tracker store. By default the tracker_store of --endpoints."),
    ] = None,
    endpoints: Annotated[Path, typer.Option(help="Rasa's endpoints file.")] = Path("endpoints.yml"),
) -> None:
    """Writes the report; the module says what is in it."""
    from kefu.errors import SettingsError
    from kefu.feedback import ReviewStore
    from kefu.feedback.store import now
    from kefu.report import Period, markdown, moment_of, page, summarise
    from kefu.settings import settings

    period = Period(moment_of(since, "--since"), moment_of(until, "--until") if until else now())
    if period.since >= period.until:
        raise SettingsError(f"--since ({since}) is not before --until ({until or 'now'}).")
    if out is not None and out.suffix not in (".md", ".html"):
        raise SettingsError(f"--out has value {str(out)!r}; give a file that ends in .md or .html.")
    store = ReviewStore(settings().database)
    if not no_harvest:
        _harvest(store, tracker_url, endpoints)
    summary = summarise(store, period)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page(summary) if out.suffix == ".html" else markdown(summary), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(summary, ensure_ascii=False))
    else:
        typer.echo(f"wrote {out}" if out is not None else markdown(summary))


def _harvest(store: ReviewStore, tracker_url: str | None, endpoints: Path) -> None:
    """Takes in what is new; where there is no tracker store, the report goes without and says so on stderr."""
    from kefu.errors import NotFound
    from kefu.feedback import connect, harvest, load_masker, trained_texts
    from kefu.feedback import tracker_url as url_of
    from kefu.settings import settings

    try:
        what = "--tracker-url" if tracker_url else f"The tracker_store of {endpoints}"
        tracker = connect(tracker_url or url_of(endpoints), what, create=False)
    except NotFound as error:
        if tracker_url:
            raise
        typer.echo(f"kefu: nothing new was read: {error}", err=True)
        return
    known = trained_texts([settings().data_dir / "nlu"])
    harvest(store, tracker, load_masker(settings().state_dir / "feedback"), known=known)
