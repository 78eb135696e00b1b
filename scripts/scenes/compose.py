"""The compose panel: what is folded away, too long or cropped, and the lists that open from it."""

from __future__ import annotations

import numpy as np
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QSpinBox, QToolButton

from mlxvid.gui.compose.crop import CropView
from mlxvid.gui.core.database_file import data_folder
from mlxvid.gui.core.saved_prompts import SavedPrompt, SavedPrompts

from .clips import gallery
from .studio import PROMPTS, Studio, rest, scene, wait

_LONG = ", and then another one comes in from the left, ".join(PROMPTS)


@scene(empty=True)
def compose_open(studio: Studio) -> None:
    """Everything open, and a prompt that is too long."""
    compose = studio.window.compose
    studio.compose(_LONG, negative_prompt="blurred, dark")
    compose.advanced.set_open(True)
    rest(500)
    studio.shoot("compose-open")
    compose.advanced.set_open(False)


@scene(empty=True)
def compose_fold(studio: Studio) -> None:
    """What is folded away, to its end, with settings that others come with."""
    compose = studio.window.compose
    studio.compose(PROMPTS[0], skip_layers="1", cache="easy")
    compose.advanced.set_open(True)
    rest(500)
    bar = compose._area.verticalScrollBar()
    bar.setValue(bar.maximum())
    studio.shoot("compose-fold")
    compose.advanced.set_open(False)


@scene(empty=True)
def compose_crop(studio: Studio) -> None:
    """A first picture that is cropped, and the part of it that is kept."""
    compose = studio.window.compose
    picture = data_folder() / "pictures" / "wide.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    across = np.linspace(0, 255, 640).astype(np.uint8)
    Image.fromarray(np.stack([np.tile(across, (360, 1))] * 3, axis=-1)).save(picture)
    studio.compose(PROMPTS[0], image=str(picture), focus=0.2)
    rest(500)
    studio.shoot("compose-crop")
    compose.pictures.choose_crop()
    view = compose.pictures.findChild(CropView)
    middle = view.rect().center()
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=middle)
    QTest.mouseMove(view, middle + QPoint(view.width() // 5, 0))
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=middle)
    studio.shoot("compose-crop-choice", view.window())
    view.window().close()


@scene()
def compose_keyframe(studio: Studio) -> None:
    """A keyframe that a click has put at the playhead, and one more that is being read."""
    window = studio.window
    gallery.play(studio)
    picture = data_folder() / "pictures" / "wide.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((360, 640, 3), (60, 110, 90), np.uint8)).save(picture)
    compose = window.compose
    compose.use_picture("keyframes", picture)
    rest(300)
    window.stage.player.playhead.seek(11)
    pin = compose.pictures.findChild(QToolButton, "at_playhead")
    QTest.mouseClick(pin, Qt.MouseButton.LeftButton)
    number = compose.pictures.findChild(QSpinBox, "keyframe_number")
    wait(lambda: number.value() == 12, "The keyframe at the playhead")
    studio.shoot("compose-keyframe")
    compose.clear()


@scene(empty=True)
def compose_prompts(studio: Studio) -> None:
    """Saved and earlier prompts."""
    SavedPrompts(studio.preferences).save(SavedPrompt(PROMPTS[0], "blurred", "Ball"))
    for prompt in PROMPTS[:6]:
        studio.database.add_prompt(prompt)
    popup = studio.window.compose.prompts.popup
    popup.show_at(QPoint(0, 0), SavedPrompt(PROMPTS[1]))
    studio.shoot("compose-prompts", popup)
    popup.close()
