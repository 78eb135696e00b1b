"""How many word pieces a prompt has, counted as the model's tokenizer does, outside the window's
thread.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

from PySide6.QtCore import QObject, QTimer, Signal

from mlxvid.errors import MlxvidError
from mlxvid.hub.words import tokenizer_folder
from mlxvid.model.card import Card
from mlxvid.text.tokenizer import Tokenizer, load_tokenizer

from .tasks import Task, Tasks

# The count follows this many milliseconds after the last change.
_SETTLE = 100
# Letters of a piece of English, for want of a tokenizer.
_LETTERS = 4
# Words, and parts of what has no spaces.
_WORD = re.compile(r"\S{1,30}")


class Count(NamedTuple):
    """The pieces of a prompt, and the most that are read.

    read: the letters of the prompt that are. exact: whether the tokenizer counted.
    """

    pieces: int
    limit: int
    read: int
    exact: bool


class PieceCounter(QObject):
    """Counts the pieces of one field. counted: a :class:`Count`, some time after :meth:`ask`."""

    counted = Signal(object)

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self._tasks = Tasks(1, self)
        self._task: Task | None = None
        self._card: Card | None = None
        self._text = ""
        self._known: dict[str, Tokenizer] = {}  # by the model's name; used in the task alone
        self._timer = QTimer(self, singleShot=True, interval=_SETTLE)
        self._timer.timeout.connect(self._begin)

    def ask(self, text: str, card: Card) -> None:
        """Have a prompt counted; an earlier one is not any more."""
        self._text = text
        self._card = card
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._timer.start()

    def _begin(self) -> None:
        card = self._card
        text = self._text
        assert card is not None  # as in ask(), which started the timer
        self._task = self._tasks.run(lambda task: self._count(text, card), done=self._tell)

    def _count(self, text: str, card: Card) -> Count:
        tokenizer = self._tokenizer(card)
        if tokenizer is None:
            return Count(math.ceil(len(text) / _LETTERS), card.prompt_pieces, len(text), False)
        return count_pieces(text, tokenizer.encode, card)

    def _tokenizer(self, card: Card) -> Tokenizer | None:
        if card.name not in self._known:
            folder = tokenizer_folder(card)
            if folder is None:
                return None
            try:
                self._known = {card.name: load_tokenizer(folder, card.prompt_pieces)}
            except MlxvidError:  # the worker says so when it reads it
                return None
        return self._known[card.name]

    def _tell(self, task: Task, count: Count) -> None:
        if task is self._task:
            self.counted.emit(count)


def count_pieces(text: str, encode: Callable[[str], list[int]], card: Card) -> Count:
    """The pieces of the longest of a prompt's texts, and how many letters of it are read."""

    def pieces(start: str) -> int:
        return max(len(encode(one)) for one in card.family.texts_of(start))

    limit = card.prompt_pieces
    count = pieces(text)
    if count <= limit:
        return Count(count, limit, len(text), True)
    ends = [word.end() for word in _WORD.finditer(text)]
    # Pieces of a part of a word may be more than those of the whole.
    fitting = bisect_right(ends, limit, key=lambda end: pieces(text[:end]))
    return Count(count, limit, ends[fitting - 1] if fitting else 0, True)
