"""The user's own models: listed, named, taken off the list; imports that were begun."""

from __future__ import annotations

from pathlib import Path

from mlxvid.gui.core.choices import Choices
from mlxvid.gui.core.own_models import OwnModels
from mlxvid.gui.core.preferences import Preferences


def test_a_name_of_the_users_is_kept_and_shown_where_models_are_chosen(
    preferences, machine, tiny_folder
):
    own = OwnModels(preferences)
    own.add(tiny_folder)
    assert own.title(tiny_folder) == tiny_folder.name
    own.rename(tiny_folder, " My Model ")
    preferences.save()
    assert OwnModels(Preferences()).title(tiny_folder) == "My Model"
    assert Choices(preferences, machine).find(str(tiny_folder)).title == "My Model"
    own.remove(tiny_folder)
    assert own.folders == []
    assert own.title(tiny_folder) == tiny_folder.name


def test_whose_a_folder_is(preferences, home):
    own = OwnModels(preferences)
    own.add(home / "added")
    own.add(home / "made", "Made", made=True)
    assert not own.is_made(home / "added")
    assert own.is_made(home / "made")
    assert own.is_made(home / "data" / "models" / "of an earlier mlxvid")
    own.add(home / "made")  # once more
    assert own.is_made(home / "made") and own.title(home / "made") == "Made"


def test_an_import_that_was_begun_takes_its_folder_until_it_ends(preferences, home):
    own = OwnModels(preferences)
    folder = home / "new"
    assert own.free_folder(folder) == folder
    own.begin(folder, "New", ["source", "--out", str(folder)])
    preferences.save()
    own = OwnModels(Preferences())
    assert own.begun()[str(folder)].arguments == ("source", "--out", str(folder))
    assert own.free_folder(folder) == home / "new-2"
    own.end(folder)
    assert own.begun() == {}
    assert own.free_folder(folder) == folder


def test_what_is_kept_may_be_damaged(preferences):
    preferences.remember("own_models", {"/a": 1})
    preferences.remember("imports", {"/b": {"arguments": "none"}, "/c": []})
    own = OwnModels(preferences)
    assert own.title(Path("/a")) == "a"
    assert own.begun() == {}
