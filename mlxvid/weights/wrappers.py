"""What trainers and programs put around a model's tensors: tables in tables, words before names.

Facts from the checkpoints of DiT's and Latte's train.py, Self-Forcing, CausVid, PyTorch's FSDP and
compile, Lightning, and ComfyUI.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

Value = TypeVar("Value")

# Under one of these names trainers save the weights, beside an optimizer's and other things.
TABLES = (
    "state_dict",
    "model",
    "module",
    "model_state_dict",
    "generator",
    "net",
    "network",
    "params",
    "weights",
    "shadow",
    "transformer",
    "student",
    "lora",
    "lora_state_dict",
    "generator_lora",
)
# Tables lie in others no deeper than this.
MAX_DEPTH = 4
# What wrappers of modules put into names, at any place.
_INSERTED = re.compile(
    r"(?<![^.])(?:_fsdp_wrapped_module|_orig_mod|_checkpoint_wrapped_module|_forward_module)\."
)
# What stands before the names of a network that was saved as a part of something. ComfyUI keeps a
# text encoder's tokenizer beside its "transformer.".
_PREFIX = re.compile(
    r"(?P<key>text_encoders\.[^.]+|cond_stage_model)\.(?:transformer\.)?"
    r"|(?P<other>(?:model\.)?diffusion_model|first_stage_model|vae|text_encoder|image_encoder"
    r"|clip_vision|transformer|dit|net|generator|model|module|online_model|averaged_model"
    r"|(?:[a-z]+_)*ema(?:_[a-z]+)*)\."
)
_AVERAGE = re.compile(r"(?<![a-z])(?:ema|swa|averaged?)(?![a-z])", re.IGNORECASE)
# Where Diffusers' EMAModel keeps an average: a list, in the order of the network's parameters.
UNNAMED = "shadow_params"
_NO_AVERAGE = re.compile(r"(?<![a-z])(?:non?|without|wo)[_.-]?ema", re.IGNORECASE)


class Table(NamedTuple):
    """A table of tensors; the names under which it was found, outermost first; those beside
    it that hold the same before it was averaged; and those of averages whose tensors have no names,
    so that they can't be taken.
    """

    tensors: dict[str, Any]
    keys: tuple[str, ...]
    passed_over: tuple[str, ...]
    unnamed: tuple[str, ...] = ()


def is_average(name: str) -> bool:
    """Whether the name of a table, file or folder says that the weights in it are an average over
    the training (EMA), which is what samples are made with.
    """
    return bool(_AVERAGE.search(name)) and not _NO_AVERAGE.search(name)


def averages_first(names: Iterable[str]) -> list[str]:
    """`names` in their order, those of averages before the others."""
    return sorted(names, key=lambda name: not is_average(name))


def find_table(
    value: Any, is_tensor: Callable[[Any], bool], depth: int = MAX_DEPTH
) -> Table | None:
    """The table of tensors in a checkpoint's content: itself, or under one of the usual names.

    An average comes before what it is an average of.
    """
    if not isinstance(value, dict) or not depth:
        return None
    names = [name for name in TABLES if name in value]
    others = [name for name in value if isinstance(name, str) and is_average(name)]
    inner = {}
    for name in averages_first([*others, *names]):
        found = find_table(value[name], is_tensor, depth - 1)
        if found is not None:
            inner[name] = found
    own = {name: entry for name, entry in value.items() if is_tensor(entry)}
    own = own if all(isinstance(name, str) for name in own) else {}
    # A step count may be a tensor too.
    most = max((len(table.tensors) for table in inner.values()), default=0)
    if len(own) > most:
        return Table(own, (), ())
    for name, table in inner.items():
        passed_over = table.passed_over
        unnamed = table.unnamed
        if is_average(name):
            passed_over += tuple(other for other in inner if not is_average(other))
        else:
            without = [other for other in others if _is_list(value[other])]
            unnamed += tuple(without)
        return Table(table.tensors, (name, *table.keys), passed_over, unnamed)
    return None


def is_unnamed(value: Any) -> bool:
    """Whether a checkpoint's content is an average whose tensors have no names."""
    return isinstance(value, dict) and UNNAMED in value


def _is_list(average: Any) -> bool:
    return isinstance(average, list) or is_unnamed(average)


def without_wrappers(name: str) -> str:
    """A tensor's name without what wrappers of modules put into it."""
    return _INSERTED.sub("", name)


def groups(tensors: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
    """Tensors by what stands before their names, which is taken off; "" for nothing."""
    found: dict[str, dict[str, Value]] = {}
    for name, value in tensors.items():
        name = without_wrappers(name)
        match = _PREFIX.match(name)
        if match is None:
            found.setdefault("", {})[name] = value
        else:
            key = match["key"] or match["other"]
            found.setdefault(key, {})[name[match.end() :]] = value
    return _with_dots(found, tensors)


def _with_dots(
    found: dict[str, dict[str, Value]], tensors: Iterable[str]
) -> dict[str, dict[str, Value]]:
    """The groups, with an average's names as those that it is of where their dots were taken out,
    as Lightning's LitEma does, which begins them at the network's own or one word further in.
    """
    spelled: dict[str, str] = {}
    for name in tensors:
        whole = without_wrappers(name)
        match = _PREFIX.match(whole)
        if match and is_average(match.group()):
            continue
        short = whole[match.end() :] if match else whole
        for start in (whole, whole.partition(".")[2], short):
            spelled.setdefault(start.replace(".", ""), short)
    for key, group in found.items():
        if is_average(key) and not any("." in name for name in group):
            named = {spelled[name]: value for name, value in group.items() if name in spelled}
            found[key] = named or group
    return found


def peeled(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """The tensors of one network, without what stands before all of their names.

    With an average beside what it is an average of, the average.
    """
    found = groups(tensors)
    kept = [key for key in found if key not in passed_over(found)]
    if len(kept) != 1:
        return {without_wrappers(name): value for name, value in tensors.items()}
    return found[kept[0]] if kept == [""] else peeled(found[kept[0]])


def average_note(tensors: Mapping[str, Value], place: object) -> str | None:
    """What to say where :func:`peeled` takes an average in one table with what it is of."""
    found = groups(tensors)
    others = passed_over(found)
    if others:
        return f"Taken from {place}: the average over the training, and not {', '.join(others)}."
    inner = next(iter(found), "")
    return average_note(found[inner], place) if len(found) == 1 and inner else None


def passed_over(found: Mapping[str, Collection[str]]) -> list[str]:
    """The groups for which there is an average with the same names."""
    averages = [set(names) for key, names in found.items() if is_average(key)]
    return [key for key, names in found.items() if not is_average(key) and set(names) in averages]
