"""The gallery: all clips of the library, to find, look at, go on from, give away and throw away."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QPoint, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QMessageBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from mlxvid.errors import MediaError
from mlxvid.gui.core.database import ClipRow, Database
from mlxvid.gui.core.export import Export
from mlxvid.gui.core.messages import shown
from mlxvid.gui.core.stills import keeping
from mlxvid.gui.core.tasks import Task, Tasks
from mlxvid.gui.core.trash import FILE_MANAGER, ON_MAC, move_to_trash, show_in_file_manager
from mlxvid.gui.widgets.export_bar import ExportBar
from mlxvid.gui.widgets.export_formats import Format, fill_export_menu
from mlxvid.gui.widgets.icons import icon
from mlxvid.gui.widgets.theme import faint_label

from .list_model import GalleryModel, title
from .thumbnails import Thumbnails
from .view import GalleryView

# A search begins when nothing was typed for so many ms.
TYPING = 150
EMPTY = "No clips yet.\nWhat you generate is kept here."
NO_MATCH = "No clip matches."


class GalleryPanel(QWidget):
    """The signals say what the user wants done with clips; `stills` is where last frames are saved
    (None: the temporary folder).

    extend_clip: the settings of the clip to go on from, its last frame as a picture, and its file.
    """

    open_clip = Signal(int)
    use_settings = Signal(dict)
    make_variations = Signal(dict)
    extend_clip = Signal(dict, Path, Path)
    use_as_start = Signal(Path)
    compare = Signal(list)
    message = Signal(str)

    def __init__(
        self, database: Database, stills: Path | None = None, parent: QWidget | None = None
    ):
        super().__init__(parent)
        self._database, self._stills = database, stills
        self._tasks = Tasks(1, self)
        self._extending: dict[Task, ClipRow] = {}
        self.model = GalleryModel(database, self)
        self.thumbnails = Thumbnails(self)
        self.view = GalleryView(self.model, self.thumbnails)
        self.exports = ExportBar(Export(self))
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING)
        self._typing.timeout.connect(self._filter)
        self._make_actions()
        self._lay_out()
        self._typing.stop()
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._show_menu)
        self.view.doubleClicked.connect(self.open_action.trigger)
        self.view.star_clicked.connect(self._toggle_star)
        self.view.selectionModel().selectionChanged.connect(self._update)
        self.thumbnails.failed.connect(self._set_aside)
        self.exports.message.connect(self.message)
        for signal in (self.model.rowsInserted, self.model.rowsRemoved):
            signal.connect(self._tell_count)
        self._tell_count()
        self._update()

    def _make_actions(self) -> None:
        self._single: list[QAction] = []
        self.open_action = self._action("Open", ["Return", "Enter"], self._open)
        self.compare_action = self._action("Compare", ["Ctrl+K"], self._compare)
        self.settings_action = self._action(
            "Use These Settings", ["Ctrl+U"], self._use_settings, single=True
        )
        self.variations_action = self._action(
            "Make Variations", ["Ctrl+Shift+V"], self._make_variations, single=True
        )
        self.extend_action = self._action("Extend from Last Frame", [], self._extend, single=True)
        self.start_action = self._action(
            "Use Last Frame as Start Image", [], self._use_as_start, single=True
        )
        self.favourite_action = self._action("Favourite", ["."], self._toggle_favourites)
        self.favourite_action.setCheckable(True)
        self.show_action = self._action(
            f"Show in {FILE_MANAGER}", ["Ctrl+Shift+R"], self._show_file, single=True
        )
        self.delete_action = self._action(
            "Move to Trash…",
            ["Ctrl+Backspace", "Delete"] if ON_MAC else ["Delete"],
            self.ask_to_delete,
        )

    def _action(
        self, text: str, keys: list[str], then: Callable[[], None], single: bool = False
    ) -> QAction:
        """An action on the selection; `single`: on one clip only. Its keys work in the grid, and
        leave the search field alone.
        """
        made = QAction(text, self)
        made.setShortcuts([QKeySequence(key) for key in keys])
        made.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        made.triggered.connect(lambda: then())
        self.view.addAction(made)
        if single:
            self._single.append(made)
        return made

    def _lay_out(self) -> None:
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search prompts")
        self.search.setAccessibleName("Search prompts")
        self.search.setClearButtonEnabled(True)
        self.search.addAction(icon("search"), QLineEdit.ActionPosition.LeadingPosition)
        self.search.textChanged.connect(self._typing.start)
        self.favourites = QToolButton()
        self.favourites.setIcon(icon("star"))
        self.favourites.setIconSize(QSize(18, 18))
        self.favourites.setCheckable(True)
        self.favourites.setToolTip("Only favourites")
        self.favourites.setAccessibleName("Only favourites")
        self.favourites.toggled.connect(self._filter)
        self._count = faint_label()
        self._count.setAccessibleName("Number of clips")
        header = QHBoxLayout()
        header.setContentsMargins(10, 8, 10, 8)
        header.setSpacing(6)
        header.addWidget(self.search, 1)
        header.addWidget(self.favourites)
        header.addWidget(self._count)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(header)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.exports)

    def actions_for_menu(self) -> list[QAction]:
        """What the window's menu may offer for the selected clips."""
        return self.view.actions()

    # --- what is shown ----------------------------------------------------------------------------

    def _filter(self) -> None:
        self.favourites.setIcon(icon("star-filled" if self.favourites.isChecked() else "star"))
        self.model.set_filter(self.search.text(), self.favourites.isChecked())
        self._tell_count()

    def _tell_count(self) -> None:
        count = self.model.rowCount()
        self._count.setText(f"{count} clip{'' if count == 1 else 's'}" if count else "")
        self._count.setVisible(count > 0)
        self.view.set_empty_text(NO_MATCH if self.model.filtered else EMPTY)

    def _set_aside(self, number: int, message: str) -> None:
        """A clip that can't be read: its tile says so, and nothing is done with it but to remove it
        or look again.
        """
        self.message.emit(message)
        self._update()

    def _update(self) -> None:
        """Allow what can be done with the selection."""
        rows = self.view.rows()
        sound = [row for row in rows if self.thumbnails.broken(row.id) is None]
        for one in self._single:
            one.setEnabled(len(rows) == 1 and len(sound) == 1)
        for one in (self.settings_action, self.variations_action):
            one.setEnabled(len(rows) == 1 and bool(rows[0].settings))  # these need no file
        self.open_action.setEnabled(len(rows) == 1)
        self.compare_action.setEnabled(len(sound) == 2 == len(rows))
        self.favourite_action.setEnabled(bool(rows))
        self.favourite_action.setChecked(bool(rows) and all(row.favourite for row in rows))
        self.delete_action.setEnabled(bool(rows))

    def _show_menu(self, place: QPoint) -> None:
        if not self.view.rows():
            return
        self._update()
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addActions([self.open_action, self.compare_action])
        menu.addSeparator()
        menu.addActions(
            [self.settings_action, self.variations_action, self.extend_action, self.start_action]
        )
        menu.addSeparator()
        menu.addAction(self.favourite_action)
        export = menu.addMenu("Export")
        export.setEnabled(self.show_action.isEnabled())
        fill_export_menu(export, self._export)
        menu.addAction(self.show_action)
        menu.addSeparator()
        menu.addAction(self.delete_action)
        menu.popup(self.view.viewport().mapToGlobal(place))

    # --- what is done with clips ------------------------------------------------------------------

    def _one(self) -> ClipRow:
        return self.view.rows()[0]

    def _open(self) -> None:
        """Open a clip; for one that is set aside, look at its file again."""
        row = self._one()
        if self.thumbnails.broken(row.id) is None:
            self.open_clip.emit(row.id)
        else:
            self.thumbnails.forget(row.id)
            self.thumbnails.still(row.id, row.path)

    def _compare(self) -> None:
        self.compare.emit([row.id for row in self.view.rows()])

    def _use_settings(self) -> None:
        self.use_settings.emit(self._one().settings)

    def _make_variations(self) -> None:
        self.make_variations.emit(self._one().settings)

    def _extend(self) -> None:
        task = self._keep_last_frame(self._extended)
        self._extending[task] = self._one()

    def _use_as_start(self) -> None:
        self._keep_last_frame(self._started)

    def _keep_last_frame(self, then: Callable[[Task, Path], None]) -> Task:
        """Save the last frame as a picture, elsewhere, and go on with it here."""
        return self._tasks.run(
            keeping(self._one().path, None, self._stills), done=then, failed=self._failed
        )

    def _extended(self, task: Task, still: Path) -> None:
        row = self._extending.pop(task)
        self.extend_clip.emit(row.settings, still, row.path)

    def _started(self, task: Task, still: Path) -> None:
        self.use_as_start.emit(still)

    def _failed(self, task: Task, message: str) -> None:
        self._extending.pop(task, None)
        self.message.emit(message)

    def _export(self, form: Format) -> None:
        self.exports.ask(self._one().path, form)

    def _show_file(self) -> None:
        try:
            show_in_file_manager(self._one().path)
        except MediaError as error:
            self.message.emit(shown(error))

    def _toggle_star(self, index) -> None:
        row = index.data(GalleryModel.ROW)
        self._database.set_favourite(row.id, not row.favourite)

    def _toggle_favourites(self) -> None:
        """All of the selection become favourites, unless they all are."""
        rows = self.view.rows()
        wanted = not all(row.favourite for row in rows)
        for row in rows:
            self._database.set_favourite(row.id, wanted)
        self._update()

    # --- the trash --------------------------------------------------------------------------------

    def ask_to_delete(self) -> None:
        """Ask once for the whole selection."""
        rows = self.view.rows()
        what = f"“{_shortened(title(rows[0]))}”" if len(rows) == 1 else f"these {len(rows)} clips"
        box = QMessageBox(
            QMessageBox.Icon.NoIcon, "Move to Trash", f"Move {what} to the Trash?", parent=self
        )
        box.setInformativeText(
            "You can put it back from there."
            if len(rows) == 1
            else "You can put them back from there."
        )
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        move = box.addButton("Move to Trash", QMessageBox.ButtonRole.AcceptRole)
        box.setDefaultButton(move)
        box.setEscapeButton(box.addButton(QMessageBox.StandardButton.Cancel))
        box.accepted.connect(partial(self.delete, rows))
        box.open()

    def delete(self, rows: list[ClipRow]) -> None:
        """Move files to the trash and their clips out of the library; one whose file can't be moved
        stays in both.
        """
        for row in rows:
            try:
                if row.path.exists():
                    move_to_trash(row.path)
            except MediaError as error:
                self.message.emit(shown(error))
            else:
                self.thumbnails.forget(row.id)
                self._database.remove_clip(row.id)


def _shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
