"""What a hub repository is: told by its files' names, before any of the large ones is fetched."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from mlxvid import catalog, models
from mlxvid.errors import ModelNotFoundError, WeightsError
from mlxvid.json_files import read_json
from mlxvid.model.card import Card
from mlxvid.model.folder import CONVERT
from mlxvid.weights.files import ENDINGS, SHARD

from .selection import INDEX

# What names say of weights that are not a model's denoiser.
_OTHER_PARTS = re.compile(
    r"t5|text_?encoder|(?<![a-z])te(?![a-z])|vae|clip|image_?encoder|tokenizer|lora|controlnet"
    r"|upscal|taew|optimizer|scheduler|training_args",
    re.IGNORECASE,
)
_LORA = re.compile(r"lora|adapter_model", re.IGNORECASE)
_VARIANT = re.compile(r"\.(?:fp16|bf16|fp32|non_ema|ema)(?=\.)")
SHOWN = "`list_models` shows those that are known by name"


def check_model(repo: str, folder: Path, sizes: Mapping[str, int]) -> None:
    """Raise unless a repository holds one model in the Diffusers layout that mlxvid runs.

    folder: with its JSON files. sizes: of all of its files, by path. Raises
    :class:`ModelNotFoundError` where it is something else, and :class:`WeightsError` for a model
    that can't be run.
    """
    if INDEX not in sizes:
        raise _no_model(repo, sizes)
    try:
        card = models.card_of(folder)
    except WeightsError as error:
        raise WeightsError(str(error).replace(str(folder), repo)) from None
    for alternatives in card.family.needed:
        if not any(path in sizes for path in alternatives):
            raise WeightsError(
                f"{repo} lacks {' or '.join(alternatives)}, so it is no whole model; {SHOWN}."
            )


def check_release(repo: str, folder: Path, sizes: Mapping[str, int]) -> None:
    """Raise unless a repository may be one original release, or is a model that mlxvid runs;
    raises as :func:`check_model` does.
    """
    if INDEX in sizes:
        check_model(repo, folder, sizes)
        return
    what = _other_than_a_release(repo, sizes)
    if what is not None:
        raise ModelNotFoundError(f"{repo} {what}.")


def original_of(repo: str) -> ModelNotFoundError | None:
    """What to raise for the repository of a release, or of a part of one, whose model is in the
    catalog; None for any other.
    """
    wanted = repo.strip().lower()
    for card in catalog.CATALOG.values():
        if wanted in (name.lower() for name in card.originals):
            return ModelNotFoundError(
                f"{repo} is the original release, which is not in the Diffusers layout; use "
                f"{card.name}, or make a model of it with {CONVERT} {repo}."
            )
    whole = [card.name for card in catalog.CATALOG.values() if _has_part(card, wanted)]
    if whole:
        use = "use that" if len(whole) == 1 else "use one of these"
        return ModelNotFoundError(f"{repo} is a part of {', '.join(whole)}; {use}.")
    return None


def terms_of(repo: str, folder: Path) -> str:
    """What the licence of a repository's model says of where it doesn't hold; "" for nothing.

    folder: of the repository, with its index if it has one.
    """
    if (folder / INDEX).is_file():
        pipeline = read_json(folder / INDEX).get("_class_name")
        family = models.by_pipeline().get(str(pipeline))
        return family.terms if family else ""
    wanted = repo.lower()
    for card in catalog.CATALOG.values():
        places = [source.repository for source in card.places]
        if wanted in (place.lower() for place in (*places, *card.originals)):
            return card.family.terms
    return ""


def _has_part(card: Card, wanted: str) -> bool:
    """Whether a card's model is put together from the repository of this name, among others."""
    return wanted in [source.repository.lower() for source in card.sources.values()]


def _no_model(repo: str, paths: Iterable[str]) -> ModelNotFoundError:
    what = _other_than_a_release(repo, paths)
    if what is None:
        what = (
            f"has no {INDEX}, as a model in the Diffusers layout has; {SHOWN}, and "
            f"{CONVERT} {repo} makes one of an original release"
        )
    return ModelNotFoundError(f"{repo} {what}.")


def _other_than_a_release(repo: str, paths: Iterable[str]) -> str | None:
    """What a repository holds that is no release of one model."""
    paths = list(paths)
    weights = [path for path in paths if path.endswith(ENDINGS)]
    if not weights and fnmatch.filter(paths, "*.gguf"):
        return f"holds GGUF files, which mlxvid does not read; {SHOWN}"
    if not weights:
        return f"holds no weights, so it is no model; {SHOWN}"
    if _LORA.search(repo) or all(_LORA.search(path) for path in weights):
        return "holds LoRAs; one is added to a model with `loras`"
    denoisers = sorted(_sets(path for path in weights if not _OTHER_PARTS.search(path)))
    if len(denoisers) > 1:
        return (
            f"is a collection of several models ({denoisers[0]}, {denoisers[1]} and so on), which "
            f"is not fetched whole; download the files of one of them into a folder, and make a "
            f"model of it with {CONVERT} FOLDER"
        )
    return None


def _sets(paths: Iterable[str]) -> set[str]:
    """The sets of weights in these files: shards are one, and so are the types of one."""
    found = set()
    for path in paths:
        stem = path[: path.rindex(".")]
        stem = SHARD.sub(".", f"{stem}.").rstrip(".")
        found.add(_VARIANT.sub("", f"{stem}.").rstrip("."))
    return found
