"""Messages are one line of a bounded length, whatever names and values are in them."""

from __future__ import annotations

import numpy as np
import pytest

from mlxvid.errors import MAX_MESSAGE, ModelNotFoundError, SettingError, shown


@pytest.mark.parametrize("error", [SettingError, ModelNotFoundError])
def test_a_message_is_one_line(error):
    message = str(error("There is no a\nb\r\nc\u2028d; check  the name."))
    assert message == "There is no a b c d; check  the name."


@pytest.mark.parametrize("error", [SettingError, ModelNotFoundError])
def test_a_long_message_keeps_its_beginning_and_its_remedy(error):
    message = str(error(f"There is no {'x' * 100_000}; check the name."))
    assert len(message) <= MAX_MESSAGE + 1
    assert message.startswith("There is no x")
    assert message.endswith("x; check the name.")


class Silent:
    def __repr__(self) -> str:
        raise ValueError("prints nothing")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, "3"),
        ("  ", "'  '"),
        ("a\nb", r"'a\nb'"),
        (np.zeros((2, 2), int), "array([[0, 0], [0, 0]])"),
        ("x" * 100, "'" + "x" * 59),
        ([10**5000], "a value of the type list"),
        (Silent(), "a value of the type Silent"),
    ],
)
def test_a_value_in_a_message(value, expected):
    assert shown(value) == expected
