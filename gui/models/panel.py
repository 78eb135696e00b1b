"""The model manager: models, what they need and use; download, verify, delete, import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QListView,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from mlxvid.gui.core.disks import Disks
from mlxvid.gui.core.downloads import ModelJobs
from mlxvid.gui.core.licences import accept, card_named, licence_to_accept
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.widgets.fields import choice
from mlxvid.gui.widgets.licence_dialog import LicenceDialog
from mlxvid.gui.widgets.notices import Notice, NoticeBar
from mlxvid.gui.widgets.theme import faint_label
from mlxvid.model.card import Card
from mlxvid.model.machine import Machine

from .delegate import ModelsDelegate
from .details import ModelDetails
from .hub_question import ask_for_repository, is_name, repository_of
from .import_dialog import ImportDialog
from .list_model import ROW, ModelList, Shown
from .manager import ModelManager, notice_of
from .more_menu import fill_menu, open_page
from .removal import confirm_removal
from .survey import ModelRow, Presence, Survey, in_order, size_text


class ModelsPanel(QWidget):
    """The list of models, with the details of the selected one, and notices about them.

    use_model: the name of a model to make clips with. told: a notice that was shown, for elsewhere
    too if nobody looks here. changed: a model was added or removed. settings_wanted: the user wants
    to choose another folder, or to give a token.
    """

    use_model = Signal(str)
    settings_wanted = Signal()
    told = Signal(object)
    changed = Signal()

    def __init__(
        self,
        preferences: Preferences,
        machine: Machine,
        jobs: ModelJobs | None = None,
        parent: QWidget | None = None,
    ):
        """jobs: the window's, which outlive the panel; without them it has its own."""
        super().__init__(parent)
        self._preferences = preferences
        self._surveyed = False
        self.jobs = jobs or ModelJobs(self)
        self.manager = ModelManager(preferences, machine, self.jobs, self)
        self.notices = NoticeBar()
        self.list = ModelList()
        self.view = QListView()
        self.view.setModel(self.list)
        self.view.setItemDelegate(ModelsDelegate(self.jobs, self.view))
        self.view.setAccessibleName("Models")
        self.view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.view.setMouseTracking(True)
        self.view.setEditTriggers(QListView.EditTrigger.EditKeyPressed)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.details = ModelDetails()
        self._lay_out()
        self._connect()
        self._show_chosen()
        self.manager.refresh()

    def _lay_out(self) -> None:
        self.shown = choice("Models shown", [(shown.value, shown) for shown in Shown])
        self._total = faint_label()
        self._total.setWordWrap(True)
        self._total.setAccessibleName("Disk used")
        from_hub = QPushButton("From the Hub…")
        from_hub.setToolTip("Download another model from Hugging Face by its name")
        from_hub.clicked.connect(self.ask_for_repository)
        import_ = QPushButton("Import…")
        import_.setToolTip("Make a model of a checkpoint: a file or a folder")
        import_.clicked.connect(self.ask_to_import)
        buttons = QHBoxLayout()
        buttons.addWidget(from_hub)
        buttons.addWidget(import_)
        side = QWidget()
        side.setProperty("role", "panel")
        side.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        side.setFixedWidth(max(300, self.fontMetrics().averageCharWidth() * 46))
        column = QVBoxLayout(side)
        column.setContentsMargins(6, 12, 6, 12)
        column.setSpacing(8)
        head = QHBoxLayout()
        head.setContentsMargins(6, 0, 6, 0)
        head.addWidget(self.shown)
        column.addLayout(head)
        column.addWidget(self.view, 1)
        foot = QVBoxLayout()
        foot.setContentsMargins(6, 0, 6, 0)
        foot.setSpacing(10)
        foot.addWidget(self._total)
        foot.addLayout(buttons)
        column.addLayout(foot)
        row = QHBoxLayout()
        row.setSpacing(0)
        row.addWidget(side)
        row.addWidget(self.details, 1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(self.notices)
        whole.addLayout(row, 1)

    def _connect(self) -> None:
        self.view.selectionModel().currentChanged.connect(lambda *_: self._show_chosen())
        self.view.activated.connect(lambda index: self._use())
        self.view.customContextMenuRequested.connect(self._show_menu_at)
        self.shown.activated.connect(lambda: self._show_only(self.shown.currentData()))
        for keys in ("Delete", "Ctrl+Backspace"):
            QShortcut(
                QKeySequence(keys),
                self.view,
                self.ask_to_remove,
                context=Qt.ShortcutContext.WidgetShortcut,
            )
        details = self.details
        details.use.clicked.connect(self._use)
        details.get.clicked.connect(self._get)
        details.settings.clicked.connect(lambda: self.settings_wanted.emit())
        details.pause.clicked.connect(self._stop)
        details.more.clicked.connect(self._show_menu_below)
        details.remove.clicked.connect(self.ask_to_remove)
        details.page_wanted.connect(open_page)
        self.jobs.changed.connect(self._follow)
        self.list.renamed.connect(self.manager.rename)
        self.manager.surveyed.connect(self._show_survey)
        self.manager.listed.connect(self._list)
        self.manager.told.connect(self._tell)
        self.manager.settled.connect(self.notices.withdraw)
        self.manager.use_wanted.connect(self.use_model)
        self.manager.removal_wanted.connect(self._confirm_removal)

    # --- the list ---------------------------------------------------------------------------------

    def select(self, name: str) -> None:
        """Select a model by its name; where it isn't shown, show all."""
        if self.list.find(name) is not None and not self.list.index_of(name).isValid():
            self.shown.setCurrentIndex(0)
            self.list.set_shown(Shown.ALL)
        index = self.list.index_of(name)
        if index.isValid():
            self.view.setCurrentIndex(index)

    def chosen(self) -> ModelRow | None:
        """The selected model."""
        return self.view.currentIndex().data(ROW)

    def _show_only(self, shown: Shown) -> None:
        before = self.chosen()
        self.list.set_shown(shown)
        self._select_again(before)

    def _show_survey(self, found: Survey) -> None:
        before = self.chosen()
        is_news = _what_is_there(found.rows) != _what_is_there(self.list.rows)
        self.list.set_rows(found.rows)
        self._select_again(before)
        self._show_total(found.disks)
        if self._surveyed and is_news:
            self.changed.emit()
        self._surveyed = True

    def _list(self, row: ModelRow) -> None:
        """List a model that no survey knows yet."""
        others = [other for other in self.list.rows if other.name != row.name]
        self.list.set_rows(in_order([*others, row]))
        self.select(row.name)

    def _select_again(self, before: ModelRow | None) -> None:
        """Select the same model in another list, or the first.

        One that was added by its name on the hub is listed under its folder once it is complete.
        """
        if before is not None:
            rows = self.list.rows
            same = [row for row in rows if row.name == before.name]
            same += [row for row in rows if before.repo and row.repo == before.repo]
            if same:
                self.view.setCurrentIndex(self.list.index_of(same[0].name))
        if not self.view.currentIndex().isValid():
            self.view.setCurrentIndex(self.list.index(0))
        self._show_chosen()

    def _show_total(self, disks: Disks) -> None:
        packaged = Presence.PACKAGED
        used = sum(row.disk_bytes for row in self.list.rows if row.presence is not packaged)
        free = size_text(disks.free_for_downloads)
        own = f" in {disks.downloads}" if self._preferences.models_folder is not None else ""
        used_text = size_text(used) if used else "no space"
        self._total.setText(f"Models use {used_text}; {free} free{own}.")
        self._total.setToolTip(f"Downloads are kept in {disks.downloads}.")

    def _show_chosen(self) -> None:
        row = self.chosen()
        if row is None:
            self.details.show_model(None, None, "")
        else:
            error = self.jobs.failure(row.name)
            last_words = "\n".join(self.jobs.last_words(row.name))
            self.details.show_model(row, self.jobs.job(row.name), error, last_words)

    def _follow(self, name: str) -> None:
        self.list.touch(name)
        row = self.chosen()
        if row is not None and row.name == name:
            self._show_chosen()

    def _tell(self, notice: Notice) -> None:
        """Show a notice, unless the details say the same."""
        row = self.chosen()
        if row is None or not notice.wrong or notice.name != notice_of(row.name):
            self.notices.show_notice(notice)
        self.told.emit(notice)

    # --- actions ----------------------------------------------------------------------------------

    def _use(self) -> None:
        row = self.chosen()
        if row is not None and row.usable:
            self.use_model.emit(row.name)

    def _get(self) -> None:
        """Start a download, an import or a copy, or go on with it."""
        row = self.chosen()
        if row is None:
            return
        variant = self.details.variant.value()
        if row.begun is not None:
            self.manager.resume(row)
        elif variant is not None and variant.copy:
            fetched = None if row.complete else row.card
            self._when_accepted(fetched, lambda: self._copy(row, variant.bits))
        else:
            self._when_accepted(row.card, lambda: self.manager.download(row))

    def _copy(self, row: ModelRow, bits: int | None) -> None:
        self.select(self.manager.copy(row, bits))

    def _when_accepted(self, card: Card | None, then: Callable[[], None]) -> None:
        """Do something once a model's licence is accepted, which is asked once."""
        licence = licence_to_accept(card, self._preferences)
        if card is None or licence is None:
            then()
            return
        dialog = LicenceDialog(card.title, licence.name, licence.sentence, licence.page, self)
        dialog.accepted.connect(lambda: accept(licence, self._preferences))
        dialog.accepted.connect(self.changed)
        dialog.accepted.connect(then)
        dialog.open()

    def _stop(self) -> None:
        row = self.chosen()
        if row is not None:
            self.jobs.stop(row.name)

    def menu(self) -> QMenu:
        """What else can be done with the selected model."""
        menu = QMenu(self)
        row = self.chosen()
        if row is None or self.jobs.job(row.name) is not None:
            return menu
        fill_menu(menu, row, self.manager, self._rename, self._warn)
        return menu

    def _show_menu_at(self, place: QPoint) -> None:
        if self.view.indexAt(place).isValid():
            self._pop_up(self.view.viewport().mapToGlobal(place))

    def _show_menu_below(self) -> None:
        button = self.details.more
        self._pop_up(button.mapToGlobal(QPoint(0, button.height())))

    def _pop_up(self, place: QPoint) -> None:
        menu = self.menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(place)

    def _rename(self) -> None:
        self.view.edit(self.view.currentIndex())

    def _warn(self, sentence: str) -> None:
        self._tell(Notice(sentence, wrong=True))

    def ask_for_repository(self) -> None:
        """Ask for a model that is not in the catalog, and download it."""
        ask_for_repository(self.get_repository, self)

    def get_repository(self, text: str) -> None:
        """Start to download a repository, by its name or its address, and list it."""
        repo = repository_of(text)
        listed = next((row for row in self.list.rows if repo in (row.repo, row.name)), None)
        if listed is not None:
            self.select(listed.name)
            if not listed.complete:
                self._get()
        elif is_name(repo):
            self.manager.ask_hub(repo)
        else:
            self._warn(f"{repo!r} is not a model's name on the hub: enter it as owner/name.")

    def ask_to_import(self) -> None:
        """Ask for a checkpoint, and import it."""
        dialog = ImportDialog(self.manager.own, self)
        dialog.chosen.connect(self._import)
        dialog.open()

    def _import(self, folder: Path, title: str, arguments: list[str]) -> None:
        """Import, from the hub once the licence of what is there is accepted."""
        card = card_named(arguments[0])
        self._when_accepted(card, lambda: self.import_checkpoint(folder, title, arguments))

    def import_checkpoint(self, folder: Path, title: str, arguments: list[str]) -> None:
        """Start to convert into `folder`, and list it."""
        self.select(self.manager.convert(folder, title, arguments))

    def ask_to_remove(self) -> None:
        """Delete the selected model once that is confirmed; a folder of the user's only leaves the
        list, which can be undone.
        """
        row = self.chosen()
        if row is None or self.jobs.job(row.name) is not None:
            return
        if row.folder is not None and not row.made:
            self.manager.unlist(row)
        elif row.begun is not None and not row.disk_bytes:
            self.manager.delete(row)
        elif row.disk_bytes and row.presence is not Presence.PACKAGED:
            self._confirm_removal(row)

    def _confirm_removal(self, row: ModelRow) -> None:
        confirm_removal(row, self.list.rows, lambda: self.manager.delete(row), self)

    def showEvent(self, event: QShowEvent) -> None:
        """Look again: files come and go while nobody looks here."""
        super().showEvent(event)
        self.view.setFocus()
        if self._surveyed:
            self.manager.refresh()

    def shutdown(self) -> None:
        """End all jobs; what was downloaded is kept."""
        self.jobs.shutdown()
        self.manager.stop()


def _what_is_there(rows: list[ModelRow]) -> list[tuple[str, str, Presence]]:
    """What others than this window have to know of models."""
    return [(row.name, row.title, row.presence) for row in rows]
