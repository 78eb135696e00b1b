"""What messages are held to: the facts in them, not their sentences."""

from __future__ import annotations

import re


def facts(*words: object) -> str:
    """A pattern of `words` in this order with anything between, for ``pytest.raises(match=...)``.

    A message is one line, so a line break between two of them is no match.
    """
    return ".*".join(re.escape(str(word)) for word in words)
