"""What the bundle is made from, as far as that can be tested without building one.

These are its commands, icon, plist and self-test.
"""

from __future__ import annotations

import ast
import json
import os
import plistlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

from mlxvid.media.clip import Clip
from scripts.app import contents

APP = Path(__file__).resolve().parents[2] / "scripts" / "app"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(APP / "entry.py"), *arguments]
    return subprocess.run(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["mlxvid.plan", "--device", "--json"], r'\{.*"kernels".*\}\s*'),
        (["mlxvid.hub", "list"], ""),
        (["mlxvid.gui.core.export_process"], ""),
        (["mlxvid.convert", "--help"], r"usage: python -m mlxvid\.convert.*"),
    ],
)
def test_the_executable_runs_the_commands_that_the_app_starts(arguments, printed, tmp_path):
    done = run("--run", *arguments, HF_HUB_CACHE=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(printed, done.stdout, re.DOTALL)


def test_another_module_is_not_run():
    done = run("--run", "os")
    assert done.returncode == 2
    assert "'os'" in done.stderr
    for command in ("mlxvid.generate", "mlxvid.plan", "mlxvid.hub", "mlxvid.convert"):
        assert command in done.stderr


def test_the_executable_is_its_own_worker(tmp_path):
    command = [sys.executable, str(APP / "entry.py"), "--worker"]
    done = subprocess.run(
        command, input='{"op": "quit"}\n', capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[0])["event"] == "ready"


def test_the_self_test_makes_a_clip_and_exports_it(tmp_path):
    done = run("--self-test", str(tmp_path), QT_QPA_PLATFORM="offscreen")
    path = tmp_path / "clips" / "a-red-ball-bouncing-on-a-navy-background-1.mp4"
    assert done.returncode == 0, done.stderr
    assert str(path) in done.stdout
    assert Clip.load(path).frames.shape == (9, 64, 64, 3)
    assert Clip.load(tmp_path / "copy.mp4").frames.shape == (9, 64, 64, 3)


def test_the_icon_has_every_size_that_macos_asks_for(tmp_path):
    done = subprocess.run(
        [sys.executable, str(APP / "icons.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    icon = (tmp_path / "mlxvid.icns").read_bytes()
    assert icon[:4] == b"icns" and int.from_bytes(icon[4:8], "big") == len(icon)
    sides = []
    at = 8
    while at < len(icon):
        length = int.from_bytes(icon[at + 4 : at + 8], "big")
        picture = QImage.fromData(icon[at + 8 : at + length], "PNG")
        assert picture.hasAlphaChannel() and picture.pixelColor(0, 0).alpha() == 0
        middle = picture.pixelColor(picture.width() * 672 // 1024, picture.height() * 480 // 1024)
        assert middle.red() > 150 and middle.alpha() == 255, "the ball"
        sides.append(picture.width())
        at += length
    assert sorted(set(sides)) == [16, 32, 64, 128, 256, 512, 1024]
    assert QImage(str(tmp_path / "mlxvid.png")).width() == 512


def entry(name: str, kind: str = "BINARY") -> tuple[str, str, str]:
    return name, f"/site/{name}", kind


def test_mlx_finds_its_kernels_beside_each_copy_of_its_library():
    binaries = [entry("mlx/lib/libmlx.dylib"), entry("libmlx.dylib"), entry("libav.dylib")]
    data = [entry("mlx/lib/mlx.metallib", "DATA"), entry("mlxvid.png", "DATA")]
    links = contents.kernel_links(binaries, data)
    assert links == [("mlx.metallib", "mlx/lib/mlx.metallib", "SYMLINK")]
    assert contents.kernel_links(binaries[:1], data) == []
    assert contents.kernel_links([entry("libmlx.so")], []) == []  # Linux has no kernels


def test_a_link_leads_up_where_the_library_lies_elsewhere():
    binaries = [entry("other/libmlx.dylib")]
    links = contents.kernel_links(binaries, [entry("mlx/lib/mlx.metallib", "DATA")])
    assert links == [("other/mlx.metallib", "../mlx/lib/mlx.metallib", "SYMLINK")]


def test_a_bundle_without_kernels_is_not_built():
    with pytest.raises(ValueError, match="mlx.metallib"):
        contents.kernel_links([entry("libmlx.dylib")], [entry("mlxvid.png", "DATA")])


@pytest.mark.parametrize(
    ("tags", "oldest"),
    [
        (["py3-none-macosx_14_0_arm64"], "14.0"),
        (["cp312-cp312-macosx_26_0_arm64", "cp312-cp312-macosx_11_0_arm64"], "26.0"),
        (["py3-none-any"], "11.0"),
        ([], "11.0"),
    ],
)
def test_the_oldest_macos_is_that_of_mlxs_wheel(tags, oldest):
    assert contents.oldest_macos(tags) == oldest


def test_signing_says_what_it_needs(tmp_path):
    script = APP.parent / "sign_app"
    for arguments, word in ([], "IDENTITY"), ([str(tmp_path), "me"], "build_app"):
        done = subprocess.run([script, *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert word in done.stderr
    entitlements = plistlib.loads((APP / "entitlements.plist").read_bytes())
    assert entitlements["com.apple.security.cs.disable-library-validation"] is True


def test_the_plist_and_the_recipe_can_be_read():
    plist = plistlib.loads((APP / "Info.plist").read_bytes())
    kinds = set()
    for document in plist["CFBundleDocumentTypes"]:
        kinds.update(document["LSItemContentTypes"])
    assert {"public.movie", "public.png", "public.heic"} <= kinds
    assert plist["NSHighResolutionCapable"] is True
    ast.parse((APP / "mlxvid.spec").read_text(encoding="utf-8"))
