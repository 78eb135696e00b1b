"""The gallery: all clips of the library, to find, open, continue, export and delete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QModelIndex, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from mlxvid.errors import MediaError
from mlxvid.gui.core.clips_table import ClipRow
from mlxvid.gui.core.copies import Source
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.messages import shown
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.trash import FILE_MANAGER, ON_MAC, show_in_file_manager
from mlxvid.gui.widgets.icons import icon
from mlxvid.gui.widgets.theme import faint_label

from .last_frames import LastFrames
from .list_model import GalleryModel
from .missing import MissingLine
from .options import ViewOptions
from .thumbnails import Thumbnails
from .view import GalleryView

# Milliseconds without typing before a search starts.
TYPING = 150
EMPTY = "No clips yet.\nWhat you generate appears here."
NO_MATCH = "No clips match."


class GalleryPanel(QWidget):
    """The clips of the library; the signals say what the user wants done with them.

    stills: the folder for last frames (None: the temporary folder). extend_clip: the settings of
    the clip to extend, its last frame as a picture, and its file. export_asked: Sources. discarded:
    clips that are to leave the gallery.
    """

    open_clip = Signal(int)
    use_settings = Signal(dict)
    make_variations = Signal(dict)
    extend_clip = Signal(dict, Path, Path)
    use_as_start = Signal(Path)
    compare = Signal(list)
    compare_takes = Signal()
    export_asked = Signal(list)
    discarded = Signal(list)
    message = Signal(str)
    warning = Signal(str)

    def __init__(
        self,
        database: Database,
        preferences: Preferences,
        stills: Path | None = None,
        parent: QWidget | None = None,
    ):
        super().__init__(parent)
        self._database = database
        self._last_frames = LastFrames(stills, self)
        self._last_frames.extend.connect(self.extend_clip)
        self._last_frames.start.connect(self.use_as_start)
        self._last_frames.failed.connect(self.warning)
        self.model = GalleryModel(database, self)
        self.thumbnails = Thumbnails(self)
        self.view = GalleryView(self.model, self.thumbnails)
        self.options = ViewOptions(self.model, preferences, self)
        self.options.tile_changed.connect(self.view.set_least_width)
        self.view.set_least_width(self.options.tile)
        self.missing = MissingLine(database)
        self.missing.located.connect(self._read_again)
        self.missing.removed.connect(lambda: self._discard(self._missing()))
        self.missing.message.connect(self.message)
        self.missing.warning.connect(self.warning)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING)
        self._typing.timeout.connect(self._filter)
        self._make_actions()
        self._lay_out()
        self._typing.stop()
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._show_menu)
        self.view.picked.connect(self._open)
        self.view.stack_clicked.connect(self.model.toggle_stack)
        self.view.star_clicked.connect(self._toggle_star)
        self.view.selectionModel().selectionChanged.connect(self._update)
        self.thumbnails.failed.connect(self._report_broken)
        model = self.model
        for signal in (model.rowsInserted, model.rowsRemoved, model.modelReset):
            signal.connect(self._show_count)
        self._show_count()
        self._update()

    def _make_actions(self) -> None:
        self._for_one_clip: list[QAction] = []
        self.open_action = self._action("Open", ["Return", "Enter"], self._open)
        self.stack_action = self._action("Show Takes", ["Ctrl+Shift+T"], self._toggle_stack)
        self.compare_action = self._action("Compare", ["Ctrl+K"], self._compare)
        self.takes_action = self._action("Compare Takes", ["Ctrl+T"], self.compare_takes.emit)
        self.settings_action = self._action(
            "Use These Settings", ["Ctrl+U"], self._use_settings, for_one=True
        )
        self.variations_action = self._action(
            "Make Variations", ["Ctrl+Shift+V"], self._make_variations, for_one=True
        )
        self.extend_action = self._action("Extend from Last Frame", [], self._extend, for_one=True)
        self.start_action = self._action(
            "Use Last Frame as First Picture", [], self._use_as_start, for_one=True
        )
        self.favourite_action = self._action("Favourite", ["."], self._toggle_favourites)
        self.favourite_action.setCheckable(True)
        self.export_action = self._action("Export Selected…", ["Ctrl+Alt+E"], self._export)
        self.show_action = self._action(
            f"Show in {FILE_MANAGER}", ["Ctrl+Shift+R"], self._show_file, for_one=True
        )
        self.locate_action = self._action("Locate…", [], self.missing.ask)
        delete_keys = ["Ctrl+Backspace", "Delete"] if ON_MAC else ["Delete"]
        self.delete_action = self._action(
            "Move to Trash", delete_keys, lambda: self._discard(self._whole())
        )

    def _action(
        self, text: str, keys: list[str], then: Callable[[], None], for_one: bool = False
    ) -> QAction:
        """An action on the selection.

        for_one: needs exactly one clip. Its keys work in the grid, and not in the search field.
        """
        made = QAction(text, self)
        made.setShortcuts([QKeySequence(key) for key in keys])
        made.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        made.triggered.connect(lambda: then())
        self.view.addAction(made)
        if for_one:
            self._for_one_clip.append(made)
        return made

    def _lay_out(self) -> None:
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search clips")
        self.search.setAccessibleName("Search clips")
        self.search.setClearButtonEnabled(True)
        self.search.addAction(icon("search"), QLineEdit.ActionPosition.LeadingPosition)
        self.search.textChanged.connect(self._typing.start)
        self.search.returnPressed.connect(self._leave_search)
        self.favourites = QToolButton()
        self.favourites.setIcon(icon("star"))
        self.favourites.setCheckable(True)
        self.favourites.setToolTip("Show only favourites")
        self.favourites.setAccessibleName("Show only favourites")
        self.favourites.toggled.connect(self._filter)
        self._count = faint_label()
        self._count.setAccessibleName("Number of clips")
        self._count.setObjectName("clip-count")
        header = QHBoxLayout()
        header.setContentsMargins(10, 8, 10, 8)
        header.setSpacing(6)
        header.addWidget(self.search, 1)
        header.addWidget(self.favourites)
        header.addWidget(self.options.button)
        header.addWidget(self._count)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(header)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.missing)

    def set_in_view(self, path: Path | None) -> None:
        """Mark the clip that is on the stage; None for none."""
        self.model.set_in_view(path)

    def actions_for_menu(self) -> list[QAction]:
        """The actions on the selected clips, for the window's menu."""
        return self.view.actions()

    # --- what is shown ----------------------------------------------------------------------------

    def _filter(self) -> None:
        self.favourites.setIcon(icon("star-filled" if self.favourites.isChecked() else "star"))
        self.model.set_search(self.search.text())
        self.model.arrange(favourites=self.favourites.isChecked())
        self._show_count()

    def begin_search(self) -> None:
        """Go to the search."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def _leave_search(self) -> None:
        """Go to the clips that were found."""
        self._typing.stop()
        self._filter()
        self.view.setFocus()

    def _show_count(self) -> None:
        count = self.model.count
        text = f"{count} clip{'' if count == 1 else 's'}"
        self._count.setText(text if count else "")
        self._count.setVisible(count > 0)
        self.view.set_empty_text(NO_MATCH if self.model.filtered else EMPTY)

    def _report_broken(self, number: int, message: str) -> None:
        """Report a clip that can't be read; that a file is missing its tile says."""
        broken = self.thumbnails.broken(number)
        if broken is not None and not broken.missing:
            self.message.emit(message)
        self._update()

    def _update(self) -> None:
        """Enable what can be done with the selection."""
        rows = self.view.rows()
        readable = self._readable()
        one_selected = len(rows) == 1
        for action in self._for_one_clip:
            action.setEnabled(one_selected and len(readable) == 1)
        for action in (self.settings_action, self.variations_action):
            action.setEnabled(one_selected and bool(rows[0].settings))  # these need no file
        self.open_action.setEnabled(one_selected)
        self.compare_action.setEnabled(len(rows) == 2 and len(readable) == 2)
        has_takes = one_selected and bool(rows[0].group)
        self.takes_action.setEnabled(has_takes or len(rows) > 1)
        self.export_action.setEnabled(bool(readable))
        stack = self._index().data(GalleryModel.MARKS).stack if one_selected else None
        self.stack_action.setEnabled(stack is not None)
        self.stack_action.setText("Hide Takes" if stack and stack.opened else "Show Takes")
        self.favourite_action.setEnabled(bool(rows))
        self.favourite_action.setChecked(bool(rows) and all(row.favourite for row in rows))
        missing = self._missing()
        self.missing.show_rows(missing)
        self.locate_action.setEnabled(bool(missing))
        self.delete_action.setEnabled(bool(rows))

    def _show_menu(self, place: QPoint) -> None:
        if not self.view.rows():
            return
        self._update()
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addActions([self.open_action, self.stack_action])
        menu.addActions([self.compare_action, self.takes_action])
        menu.addSeparator()
        menu.addActions(
            [self.settings_action, self.variations_action, self.extend_action, self.start_action]
        )
        menu.addSeparator()
        menu.addAction(self.favourite_action)
        menu.addActions([self.export_action, self.show_action])
        if self.locate_action.isEnabled():
            menu.addAction(self.locate_action)
        menu.addSeparator()
        menu.addAction(self.delete_action)
        menu.popup(self.view.viewport().mapToGlobal(place))

    # --- actions on clips -------------------------------------------------------------------------

    def _one(self) -> ClipRow:
        return self.view.rows()[0]

    def _whole(self) -> list[ClipRow]:
        """The selected clips, and the takes that stand behind them."""
        return self.model.with_hidden(self.view.rows())

    def _can_read(self, row: ClipRow) -> bool:
        return self.thumbnails.broken(row.id) is None

    def _readable(self) -> list[ClipRow]:
        """The selected clips but those whose files can't be read."""
        return [row for row in self.view.rows() if self._can_read(row)]

    def _missing(self) -> list[ClipRow]:
        """The selected clips that have no files."""
        found = []
        for row in self.view.rows():
            broken = self.thumbnails.broken(row.id)
            if broken is not None and broken.missing:
                found.append(row)
        return found

    def _read_again(self, numbers: list[int]) -> None:
        for number in numbers:
            self.thumbnails.forget(number)
        self.view.viewport().update()
        self._update()

    def _open(self) -> None:
        """Open a clip; read the file of a broken one again."""
        row = self._one()
        if self.thumbnails.broken(row.id) is None:
            self.open_clip.emit(row.id)
        else:
            self.thumbnails.forget(row.id)
            self.thumbnails.still(row.id, row.path)

    def _index(self) -> QModelIndex:
        return self.model.index_of(self._one().id)

    def _toggle_stack(self) -> None:
        self.model.toggle_stack(self._index())
        self._update()

    def _compare(self) -> None:
        self.compare.emit([row.id for row in self.view.rows()])

    def _use_settings(self) -> None:
        self.use_settings.emit(self._one().settings)

    def _make_variations(self) -> None:
        self.make_variations.emit(self._one().settings)

    def _extend(self) -> None:
        self._last_frames.keep_to_extend(self._one())

    def _use_as_start(self) -> None:
        self._last_frames.keep_to_start(self._one())

    def _export(self) -> None:
        sources = []
        for row in filter(self._can_read, self._whole()):
            sources.append(Source(row.path, row.frames, row.fps, row.width, row.height))
        self.export_asked.emit(sources)

    def _show_file(self) -> None:
        try:
            show_in_file_manager(self._one().path)
        except MediaError as error:
            self.warning.emit(shown(error))

    def _toggle_star(self, index: QModelIndex) -> None:
        row = index.data(GalleryModel.ROW)
        self._database.set_favourites([row.id], not row.favourite)

    def _toggle_favourites(self) -> None:
        """Make all selected clips favourites; if they all are, none."""
        rows = self.view.rows()
        wanted = not all(row.favourite for row in rows)
        self._database.set_favourites([row.id for row in rows], wanted)
        self._update()

    # --- the trash --------------------------------------------------------------------------------

    def _discard(self, rows: list[ClipRow]) -> None:
        """Have clips leave; where the one in view goes, the next is shown in its place."""
        viewed = self.model.has_in_view(rows)
        for row in rows:
            self.thumbnails.forget(row.id)  # it may come back with another file
        self.discarded.emit(rows)
        if viewed and len(self.view.rows()) == 1:
            self._open()
