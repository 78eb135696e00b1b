"""A grid made by the real worker, from the dialog to the sheet."""

from __future__ import annotations

import pytest

from mlxvid.gui.queue.roles import LINE
from mlxvid.gui.takes.dialog import GridDialog

SMALL = {"model": "mini", "width": 64, "height": 64, "frames": 9, "steps": 2, "guidance": 1.0}
PATIENCE = 60000


@pytest.fixture
def window(open_window):
    return open_window(command=None)


def test_from_the_dialog_to_the_sheet(window, qtbot):
    window.compose.apply_settings({**SMALL, "prompt": "a red ball", "seed": 3})
    window.side_by_side.grid_action.trigger()
    dialog = window.findChild(GridDialog)
    dialog.values[0].setText("1, 2")
    dialog.names[1].setCurrentIndex(dialog.names[1].findData("seed"))
    dialog.values[1].setText("3, 4")
    dialog.add.click()
    qtbot.waitUntil(lambda: len(window.database.clips()) == 4, timeout=PATIENCE)
    history = window.queue.history.model
    lines = [history.index(row).data(LINE) for row in range(history.rowCount())]
    assert len(lines) == 4 and all(line.startswith("Made in ") for line in lines)
    (group,) = {clip.group for clip in window.database.clips()}
    takes = window.side_by_side.takes
    window.stage.show_page(takes)
    takes.open(takes.of_group(group))
    assert takes.sheet.title == "Steps × Seed"
    assert takes.sheet.across == ("Steps 1", "Steps 2") and takes.sheet.down == ("Seed 3", "Seed 4")
    made = [(cell.settings["steps"], cell.settings["seed"]) for cell in takes.sheet.cells]
    assert made == [(1, 3), (2, 3), (1, 4), (2, 4)]
    qtbot.waitUntil(lambda: all(image is not None for image in takes.canvas.images))
