"""What is folded away, what is told of it, and the levels."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QPushButton

from mlxvid.catalog import CATALOG
from mlxvid.gui.compose.summary import summary
from mlxvid.gui.widgets.fold import FoldButton
from mlxvid.model.levels import DRAFT, levels
from tests.gui.cards import WITH_LORAS


def told(panel) -> str:
    return panel.findChild(FoldButton, "advanced_fold").line


def level(panel, name) -> QPushButton:
    return panel.findChild(QPushButton, f"level_{name}")


def pressed(panel) -> list[str]:
    found = [level(panel, name) for name in ("draft", "standard", "best")]
    return [button.text() for button in found if button.isChecked()]


def test_the_line_tells_what_is_folded_away(panel, qtbot):
    qtbot.waitUntil(lambda: told(panel) == "20 steps · guidance 3 · 16 fps")
    assert panel.steps.isHidden() or not panel.steps.isVisible()
    panel.steps.setValue(7)
    panel.seed.set_value(5)
    panel.seed.set_locked(True)
    qtbot.waitUntil(lambda: told(panel) == "7 steps · guidance 3 · 16 fps · seed 5")
    panel.advanced.set_open(True)
    assert panel.steps.isVisible()


def test_the_line_names_what_is_rare_only_where_it_was_chosen(panel):
    panel.picker.set_name(WITH_LORAS)
    panel.loras.set_value(["a.safetensors@1", "b.safetensors@1"])
    card = CATALOG[WITH_LORAS]
    settings = {**panel.settings(), "quantize": 8, "draft_decode": True}
    assert summary(settings, card, False).endswith("· 2 LoRAs · 8 bits · draft decoder")


def test_the_negative_prompt_is_folded_while_it_is_empty(panel):
    fold = panel.negative_box.fold
    assert panel.negative.isHidden()
    assert fold.line == "Negative prompt"
    panel.apply_settings({"prompt": "a", "model": "mini", "negative_prompt": "blurred"})
    assert panel.negative.isVisible()
    fold.setChecked(False)
    assert "blurred" in fold.line
    assert panel.settings()["negative_prompt"] == "blurred"
    panel.apply_settings({"prompt": "a", "model": "mini"})
    assert panel.negative.isHidden()


@pytest.mark.parametrize("name", ["mini", WITH_LORAS])
def test_levels_set_steps_and_size_and_keep_the_shape(panel, qtbot, name):
    panel.picker.set_name(name)
    panel.prompt.set_text("a fox")
    qtbot.waitUntil(lambda: pressed(panel) == ["Standard"])
    own = panel.size_box.value()
    level(panel, "draft").click()
    draft = levels(CATALOG[name])[DRAFT]
    settings = panel.settings()
    assert all(settings[key] == value for key, value in draft.items())
    assert settings["prompt"] == "a fox"
    qtbot.waitUntil(lambda: pressed(panel) == ["Draft"])
    panel.size_box.set_value(own[1] // 2, own[0])  # tall
    tall = panel.size_box.value()
    level(panel, "best").click()
    width, height = panel.size_box.value()
    assert width / height == pytest.approx(tall[0] / tall[1], rel=0.1)
    assert width * height == pytest.approx(own[0] * own[1], rel=0.2)
    assert panel.steps.value() > draft["steps"]
    qtbot.waitUntil(lambda: pressed(panel) == ["Best"])
    panel.steps.setValue(3)
    qtbot.waitUntil(lambda: pressed(panel) == [])


def test_a_level_leaves_the_familys_other_options_alone(panel, qtbot):
    card = next(card for card in CATALOG.values() if "options" in levels(card)[DRAFT])
    panel.picker.set_name(card.name)
    other = next(
        option
        for option in card.family.options
        if option.kind == "number" and option.name in card.takes
    )
    options = {other.name: other.high}
    panel.apply_settings({"prompt": "a fox", "model": card.name, "options": options})
    level(panel, "draft").click()
    chosen = levels(card)[DRAFT]["options"]
    assert panel.settings()["options"] == options | chosen
    level(panel, "standard").click()
    assert panel.settings()["options"] == options
