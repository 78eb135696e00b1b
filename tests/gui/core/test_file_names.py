"""Names of clips: what a pattern makes, and which make none."""

from __future__ import annotations

from datetime import datetime

import pytest

from mlxvid.errors import SettingError
from mlxvid.gui.core.file_names import check_pattern, free_path, stem_of

NOW = datetime(2026, 3, 9, 8, 5, 1)
SETTINGS = {"prompt": "Ein Käse, der FLIEGT!", "seed": 3, "model": "maker/a:model-1.3B"}


@pytest.mark.parametrize(
    ("pattern", "stem"),
    [
        ("{prompt}-{seed}", "ein-käse-der-fliegt-3"),
        ("", "ein-käse-der-fliegt-3"),
        (
            "  {date} {time} {model} take {seed}. ",
            "2026-03-09 08-05-01 a-model-1.3B take 3",
        ),
        ("Scene 1", "Scene 1"),
        ("{prompt}/{seed}", "ein-käse-der-fliegt-3"),  # one that was written into the file
        ("ö" * 150, "ö" * 100),
    ],
)
def test_a_pattern_makes_a_name(pattern, stem):
    assert stem_of(pattern, SETTINGS, NOW) == stem


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("{sead}", "{sead}"),
        ("../{prompt}", "'/'"),
        ("a:b", "':'"),
        ("{prompt", "'{'"),
        ("a\nb", "'\\n'"),
        (".{prompt}", "dot"),
    ],
)
def test_a_pattern_that_makes_no_name_is_refused(pattern, named):
    with pytest.raises(SettingError, match=named.replace("\\", r"\\")):
        check_pattern(pattern)


def test_a_name_is_free(tmp_path):
    (tmp_path / "clip-3.mp4").touch()
    assert free_path({"prompt": "…/..", "seed": 3}, tmp_path).name == "clip-3-2.mp4"
    (tmp_path / "a.mp4").touch()
    assert free_path(SETTINGS, tmp_path, "a", NOW) == tmp_path / "a-2.mp4"
    assert len(free_path({"prompt": "word " * 99, "seed": 3}, tmp_path).name) < 70
