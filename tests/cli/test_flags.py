"""Flags: one for each setting of the table, and every message of the library spelled with them."""

from __future__ import annotations

import argparse
import ast
import re
from pathlib import Path

import pytest

from mlxvid import generate, models, plan
from mlxvid.cli.flags import OTHER_FLAGS, add_setting, flag_of, keyframe, spelled_as_flags
from mlxvid.cli.parser import Parser, rate
from mlxvid.errors import SettingError
from mlxvid.model.keyframes import Keyframe
from mlxvid.model.settings import SETTINGS, Setting
from tests.facts import facts

SETTABLE = {**SETTINGS, **models.options()}
del SETTABLE["options"]  # each of them has a flag of its own
PACKAGE = Path(generate.__file__).parent
# In backticks in messages, and only ever said to people who write Python.
ONLY_IN_PYTHON = {"latents", "options"}


def action_of(name: str, parser: argparse.ArgumentParser) -> argparse.Action:
    """What the parser does with a setting."""
    (found,) = [action for action in parser._actions if action.dest == name]
    return found


def parse(setting: Setting, *arguments: str) -> object:
    """A setting's value from a command line with no other flag."""
    parser = Parser(prog="x")
    add_setting(parser, setting)
    return getattr(parser.parse_args(arguments), setting.name)


def refused(setting: Setting, text: str) -> str:
    """What is said of a value that the setting's flag doesn't take."""
    with pytest.raises(SettingError) as caught:
        parse(setting, f"--{setting.dashed}={text}")
    assert str(caught.value).startswith(f"--{setting.dashed}")
    return str(caught.value)


# --- one for each --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETTABLE)
def test_every_setting_has_its_flag_and_its_help(name):
    setting = SETTABLE[name]
    action = action_of(name, generate.parser())
    off = [f"--no-{setting.dashed}"] if setting.kind == "switch" else []
    assert action.option_strings == [flag_of(name), *off]
    assert action.help.startswith(setting.help)
    assert action.default is None  # what is not given comes from --from, or from the model
    assert bool(action.required) is False
    if setting.choices:
        assert tuple(action.choices) == setting.choices
    elif setting.kind != "switch":
        assert action.metavar == (setting.metavar or name.upper())


def test_the_help_tells_what_the_registry_knows():
    text = "".join(generate.parser().format_help().split())  # lines break at hyphens too
    for card in models.cards():
        for sampler in card.samplers:
            assert sampler in text
    for family in models.families():
        for example in family.examples:
            assert "".join(example.split()) in text
    assert "(default:mini)" in text


def test_what_is_given_twice_is_a_list_only_where_that_makes_sense():
    assert parse(SETTINGS["loras"], "--lora=a", "--lora", "b@0.5") == ["a", "b@0.5"]
    assert parse(SETTINGS["keyframes"], "--keyframe=4=a", "--keyframe=8=b") == [(4, "a"), (8, "b")]
    assert parse(SETTINGS["steps"], "--steps=4", "--steps=8") == 8


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n, s in SETTABLE.items() if s.kind in ("whole", "number")])
def test_a_numbers_flag_keeps_to_the_settings_range(name):
    setting = SETTABLE[name]
    is_whole = setting.kind == "whole"
    for end in (setting.low, setting.high):
        value = parse(setting, f"--{setting.dashed}={end}")
        assert value == setting.checked(value) == end
    step = 1 if is_whole else 0.001
    low = f"{setting.low:g}"
    bad = [setting.low - step, setting.high + step, "nan", "inf", "", "many"]
    for text in [*map(str, bad), *(["1.5", "1e3"] if is_whole else [])]:
        said = refused(setting, text)
        assert f"from {low} to " in said
        assert repr(text) in said
        assert ("whole number" in said) == is_whole
        assert setting.unit in said


def test_a_seed_goes_up_to_what_a_key_holds():
    said = refused(SETTINGS["seed"], str(2**63))
    assert "2^63 - 1" in said
    assert parse(SETTINGS["seed"], f"--seed={2**63 - 1}") == 2**63 - 1


def test_a_far_too_long_number_is_cut():
    assert len(refused(SETTINGS["steps"], "9" * 10_000)) < 200


@pytest.mark.parametrize("name", [name for name, s in SETTABLE.items() if s.choices])
def test_a_choices_flag_takes_these_and_lists_them(name):
    setting = SETTABLE[name]
    for choice in setting.choices:
        assert parse(setting, f"--{setting.dashed}={choice}") == choice
    said = refused(setting, "99")
    for choice in setting.choices:
        assert str(choice) in said


def test_a_switch_is_on_off_or_not_given():
    switch = Setting("clean_picture", "switch", "Clean", "whether it is cleaned")
    assert parse(switch, "--clean-picture") is True
    assert parse(switch, "--no-clean-picture") is False
    assert parse(switch) is None
    refused(switch, "yes")


def test_a_keyframe_is_a_frame_and_a_file():
    assert keyframe("16=middle.png") == (16, "middle.png")
    assert keyframe("0=a=b.png") == (0, "a=b.png")
    assert keyframe("16=a@3") == (16, "a@3")
    for text in ("first.png", "=a.png", "4=", "-1=a.png", "1.5=a.png", "9" * 7 + "=a.png", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="FILE@FRAME.*FRAME=FILE"):
            keyframe(text)


@pytest.mark.parametrize(
    ("text", "frame", "path", "strength"),
    [
        ("middle.png@16", 16, "middle.png", 1),
        ("middle.png@16:0.5", 16, "middle.png", 0.5),
        ("last.png@-1", -1, "last.png", 1),
        ("photo@2x.png@0:1", 0, "photo@2x.png", 1),
        ("me@home:0.5@7:0", 7, "me@home:0.5", 0),
        (r"C:\clips\a.mp4@40:.25", 40, r"C:\clips\a.mp4", 0.25),
        ("a@3@4", 4, "a@3", 1),
        ("x=1.png@4", 4, "x=1.png", 1),
        ("two\nlines.png@4", 4, "two\nlines.png", 1),
    ],
)
def test_a_keyframe_is_parted_from_the_right(text, frame, path, strength):
    found, given = keyframe(text)
    assert found == frame
    assert Keyframe.of(given, frame) == Keyframe(path, strength)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.png@", ("FILE@FRAME", "'a.png@'")),
        ("photo@2x.png", ("FILE@FRAME", "'photo@2x.png'")),
        ("a.png@1.5", ("FILE@FRAME",)),
        ("@5", ("FILE@FRAME",)),
        ("a.png@9999999", ("FILE@FRAME",)),
        ("a.png@5:2", ("FILE@FRAME:STRENGTH", "from 0 to 1", "'2'")),
        ("a.png@5:-0.1", ("from 0 to 1", "'-0.1'")),
        ("a.png@5:nan", ("from 0 to 1", "'nan'")),
        ("a.png@5:", ("from 0 to 1", "''")),
        ("a.png@5:much", ("from 0 to 1", "'much'")),
    ],
)
def test_a_keyframe_that_says_too_little_or_too_much_is_refused(text, words):
    with pytest.raises(argparse.ArgumentTypeError, match=facts(*words)):
        keyframe(text)


# --- messages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETTABLE)
def test_a_setting_in_a_message_becomes_its_flag(name):
    message = f"The `{name}` is odd; see `list_models`."
    assert spelled_as_flags(message) == f"The --{SETTABLE[name].dashed} is odd; see --list-models."


def test_what_is_no_setting_stays_as_it_is():
    for text in ("log in with `hf auth login`", "the folder `Ä`", "``", "5 > 3", "a `half"):
        assert spelled_as_flags(text) == text
    assert spelled_as_flags("two\nlines  of\ttext") == "two lines of text"


def messages() -> list[tuple[Path, int, str]]:
    """Every text in the package's code that isn't a docstring: file, line, text."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        statements = [node for node in ast.walk(tree) if isinstance(node, ast.Expr)]
        docstrings = {id(statement.value) for statement in statements}
        for node in ast.walk(tree):
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if is_text and id(node) not in docstrings:
                found.append((path, node.lineno, node.value))
    return found


def test_every_name_in_backticks_has_a_flag_of_some_command():
    known = {*generate.parser()._option_string_actions, *plan.parser()._option_string_actions}
    strange = []
    for path, line, text in messages():
        for name in re.findall(r"`([a-z][a-z0-9_]*)`", text):
            if name not in ONLY_IN_PYTHON and flag_of(name) not in known:
                strange.append(f"{path.name}:{line} `{name}`")
    assert not strange


def test_the_library_names_no_flags():
    """Who uses Python or the window has none: messages name settings."""
    flags = re.compile(r"(?<![\w-])--[a-z]")
    strange = []
    for path, line, text in messages():
        rooms = path.relative_to(PACKAGE).parts
        is_command = len(rooms) == 1 or rooms[0] == "cli" or path.name == "__main__.py"
        is_help = path.name in ("card.py", "settings.py")  # examples of the command, and its help
        is_argument = " " not in text  # of another program
        if flags.search(text) and not (is_command or is_help or is_argument):
            strange.append(f"{path.name}:{line} {text[:60]}")
    assert not strange


def test_names_that_are_no_settings_have_flags_too():
    assert not OTHER_FLAGS.keys() & SETTABLE.keys()
    assert flag_of("decode_saved") == "--decode-only"
    assert flag_of("s_factor") == "--s-factor"


@pytest.mark.parametrize(
    ("text", "fps"),
    [("24000/1001", 24000 / 1001), ("29.97", 30000 / 1001), ("25/2", 12.5), ("24", 24.0)],
)
def test_a_frame_rate_may_be_a_fraction(text, fps):
    setting = SETTABLE["fps"]
    assert setting.checked(parse(setting, f"--fps={text}")) == fps == rate(text)


@pytest.mark.parametrize("text", ["24/0", "1/2/3", "/2", "-1/2", "a/b"])
def test_what_is_no_frame_rate_is_refused(text):
    said = refused(SETTABLE["fps"], text)
    assert "fraction" in said and repr(text) in said
    with pytest.raises(argparse.ArgumentTypeError, match="fraction"):
        rate(text)
