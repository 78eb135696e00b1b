"""Messages as the window shows them: with labels for the names of settings."""

from __future__ import annotations

import pytest

from mlxvid import models
from mlxvid.errors import SettingError
from mlxvid.gui.core.messages import label, shown
from mlxvid.model.settings import SETTINGS


@pytest.mark.parametrize("name", ["negative_prompt", "width", "last_image"])
def test_settings_are_named_by_their_labels(name):
    message = shown(SettingError(f"This model takes no `{name}`;\n leave it out."))
    assert message == f"This model takes no {SETTINGS[name].label}; leave it out."


def test_options_of_families_are_named_by_their_labels():
    for name, option in models.options().items():
        assert shown(f"`{name}` is wrong.") == f"{option.label} is wrong."


@pytest.mark.parametrize("name", ["resume", "force", "list_models", "decode_saved"])
def test_other_names_are_what_the_window_has_for_them(name):
    assert shown(f"Use `{name}`.") == f"Use {label(name)}."
    assert "_" not in label(name)
