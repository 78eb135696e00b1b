"""The way in: the welcome page while there is nothing to see, and what a prompt's model lacks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PySide6.QtCore import QObject

from mlxvid.gui.compose.panel import ComposePanel
from mlxvid.gui.core.choices import Choices
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.downloads import ModelJobs
from mlxvid.gui.core.fetching import Fetching
from mlxvid.gui.core.jobs import Job
from mlxvid.gui.core.messages import shown
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.runner import Runner
from mlxvid.gui.models.bar import FetchBar
from mlxvid.gui.opening import Opening
from mlxvid.gui.player.stage import Stage
from mlxvid.gui.welcome.page import WelcomePage
from mlxvid.gui.widgets.notices import Notice, NoticeBar

from .tool_windows import ToolWindows


class WayIn(QObject):
    """Connects the welcome page."""

    def __init__(
        self,
        page: WelcomePage,
        stage: Stage,
        compose: ComposePanel,
        opening: Opening,
        fetching: Fetching,
        jobs: ModelJobs,
        bar: NoticeBar,
        tools: ToolWindows,
        database: Database,
        runner: Runner,
        choices: Choices,
        preferences: Preferences,
        parent: QObject,
    ):
        super().__init__(parent)
        self._page = page
        self._stage = stage
        self._compose = compose
        self._bar = bar
        self._tools = tools
        self._jobs = jobs
        self._database = database
        self._runner = runner
        self._choices = choices
        self._preferences = preferences
        self._advised: set[str] = set()  # prompts
        self._fetched: set[str] = set()  # the names of models that are being downloaded
        page.try_prompt.connect(self._try)
        page.get.connect(fetching.get)
        page.use.connect(self._use)
        page.look.connect(tools.show_model)
        page.all_models.connect(tools.show_models)
        compose.plan_line.models_wanted.connect(tools.show_model)
        page.open_file.connect(opening.ask)
        page.folder_chosen.connect(self._take_folder)
        fetching.got.connect(self._tell_got)
        compose.plan_line.is_fetched = lambda name: name in self._fetched
        jobs.changed.connect(self._note_download)
        self.fetch_bar = FetchBar(jobs, self._title_of, self._is_offered)
        database.clips_changed.connect(self._follow)
        runner.changed.connect(self._follow)
        stage.player.reel.begun.connect(self._follow)
        stage.player.reel.ended.connect(self._follow)
        self._follow()

    def _follow(self, *_: object) -> None:
        """Show the page whenever the library is empty and nothing is in view."""
        idle = self._runner.current is None and self._stage.player.is_empty
        self._stage.greet(idle and self._database.is_empty())

    def _note_download(self, name: str) -> None:
        """Have the button say anew what it does when a download begins or ends."""
        under_way = self._jobs.job(name) is not None
        if under_way != (name in self._fetched):
            self._fetched ^= {name}
            self._compose.replan()

    def _title_of(self, name: str) -> str:
        choice = self._choices.find(name)
        return choice.title if choice is not None else Path(name).name

    def _is_offered(self, name: str) -> bool:
        """Whether the page shows how far a model's download is."""
        return self._page.isVisible() and any(row.name == name for row in self._page.rows)

    def _try(self, name: str, prompt: str) -> None:
        self._compose.apply_settings({"model": name, "prompt": prompt})
        self._compose.generate()

    def _use(self, name: str) -> None:
        """Choose a model, with the weights that fit, for the prompt that stands there."""
        prompt = self._compose.prompt.toPlainText()
        self._compose.apply_settings({**self._page.settings_for(name), "prompt": prompt})

    def _take_folder(self, folder: Path) -> None:
        self._preferences.clips_folder = folder

    def _tell_got(self, name: str) -> None:
        choice = self._choices.find(name)
        if choice is not None:
            use = ("Use It", lambda: self._use(name))
            text = f"{choice.title} is downloaded."
            self._bar.show_notice(Notice(text, [use], name=f"download {name}"))

    def advise(self, jobs: Iterable[Job]) -> None:
        """Say which words of new prompts their models don't know, once a prompt; the clips are made
        all the same.
        """
        self._follow()
        for job in jobs:
            choice = self._choices.find(str(job.settings.get("model")))
            prompt = str(job.settings.get("prompt"))
            advice = choice.card.advice(prompt) if choice is not None else None
            if advice and prompt not in self._advised:
                self._advised.add(prompt)
                choose = ("Choose a Model…", self._tools.show_models)
                self._bar.show_notice(Notice(shown(advice), [choose], name="advice"))
