"""The command line: ``python -m mlxvid.hub``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlxvid import catalog, models
from mlxvid.cli import parser as cli
from mlxvid.errors import ModelNotFoundError, SettingError, WeightsError
from mlxvid.model.card import Card

from .assembly import fetched, is_here, patterns_of
from .cache import delete, repositories, size_on_disk, verify
from .fetch import download_model
from .selection import PATTERNS
from .tiny import download_tiny

if TYPE_CHECKING:
    from mlxvid.progress import Watch


DESCRIPTION = (
    "Fetch, check and remove models from the hub. "
    "What is fetched lies in Hugging Face's cache, for other programs too."
)
EXAMPLES = """examples (a download that was stopped with Ctrl-C goes on when it is run again):
  python -m mlxvid.hub download NAME
  python -m mlxvid.hub verify owner/name
  python -m mlxvid.hub list
"""


def parser() -> cli.Parser:
    """The flags."""
    p = cli.Parser(prog="python -m mlxvid.hub", description=DESCRIPTION, epilog=EXAMPLES)
    p.add_argument("command", choices=COMMANDS, help="what to do")
    p.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="a name of mlxvid's catalog, or a hub repository (owner/name), not for list; "
        f"to download also a tiny decoder: {', '.join(models.tiny_decoders())}",
    )
    p.add_argument(
        "--revision",
        metavar="REV",
        help="of the hub repository (default: the catalog's, or its main branch)",
    )
    cli.add_progress(p)
    return p


@cli.run
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    args = parser().parse_args(argv)
    if (args.name is None) != (args.command == "list"):
        raise SettingError(
            "Give a name to download, verify or delete, as in: python -m mlxvid.hub download NAME."
        )
    COMMANDS[args.command](args)
    return 0


def _card(args: argparse.Namespace) -> Card | None:
    """The catalog's model that was named; None for a hub repository.

    Raises :class:`SettingError` for a model that comes with mlxvid.
    """
    try:
        card = catalog.find(args.name)
    except ModelNotFoundError:
        if args.name.count("/") != 1:
            raise
        return None
    if not card.places:
        raise SettingError(
            f"{card.name} comes with mlxvid: there is nothing to download, verify or delete."
        )
    return card


def _places(args: argparse.Namespace) -> list[tuple[str, str | None, Sequence[str]]]:
    """The repositories of what was named, their revisions, and the patterns of the files that it
    requires: a release may be in several.
    """
    card = _card(args)
    if card is None:
        return [(args.name, args.revision, PATTERNS)]
    places: list[tuple[str, str | None, Sequence[str]]] = []
    for source in card.places:
        own = source.repository == card.repository
        revision = args.revision if own and args.revision else source.revision
        places.append((source.repository, revision, patterns_of(source)))
    return places


@contextmanager
def _reporting(args: argparse.Namespace) -> Iterator[tuple[Callable[..., None], Watch]]:
    """What reports events, and what watches the work, as --progress asks for."""
    from mlxvid.cli.console import console
    from mlxvid.progress import Watch

    with console(args.progress) as (emit, on_progress):
        yield emit, Watch(on_progress, None)


def _download(args: argparse.Namespace) -> None:
    tiny = models.tiny_decoders().get(args.name)
    card = None if tiny else _card(args)
    with _reporting(args) as (emit, watch):
        if tiny is not None:
            folder = download_tiny(tiny, watch)
        elif card is None:
            folder = download_model(args.name, args.revision, watch)
        else:
            folder = fetched(card, args.revision, watch=watch)
        emit("downloaded", path=str(folder))
    if args.progress != "json":
        print(folder)


def _verify(args: argparse.Namespace) -> None:
    places = _places(args)
    bad: list[str] = []
    with _reporting(args) as (emit, watch):
        for repo, revision, patterns in places:
            bad += verify(repo, revision, watch, patterns)
        emit("verified", bad=bad)
    names = ", ".join(repo for repo, *_ in places)
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise WeightsError(
            f"{bad[0]}{more} of {names} was damaged or missing, and is removed; "
            "download the model again."
        )
    if args.progress != "json":
        print(f"{names}: complete and valid.")


def _delete(args: argparse.Namespace) -> None:
    repos = list(dict.fromkeys(repo for repo, *_ in _places(args)))
    others = [card.name for card in _in_use(repos) if card.name != args.name]
    size = sum(delete(repo) for repo in repos)
    with _reporting(args) as (emit, _):
        emit("deleted", bytes=size, others=others)
    if args.progress == "json":
        return
    names = ", ".join(repos)
    if size:
        print(f"{names}: deleted; {size / 1e9:.1f} GB are free again.")
        if others:
            print(f"These models had files there too, and lack them now: {', '.join(others)}.")
    else:
        print(f"Nothing of {names} was on this machine.")


def _in_use(repos: Sequence[str]) -> list[Card]:
    """The catalog's models on this machine that have files in these repositories."""
    cards = [card for card in catalog.CATALOG.values() if card.places and is_here(card)]
    return [card for card in cards if any(place.repository in repos for place in card.places)]


def _list(args: argparse.Namespace) -> None:
    with _reporting(args) as (emit, _):
        for repo, is_complete in repositories().items():
            size = size_on_disk(repo)
            emit("repository", repo=repo, bytes=size, whole=is_complete)
            if args.progress != "json":
                note = "" if is_complete else " (not all of it)"
                print(f"{size / 1e9:8.1f} GB  {repo}{note}")


COMMANDS = {"download": _download, "verify": _verify, "delete": _delete, "list": _list}

if __name__ == "__main__":
    sys.exit(main())
