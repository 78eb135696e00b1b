"""The command: flags, files and exit codes; every mistake is one sentence on standard error, and
nothing is left behind.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import av
import mlx.core as mx
import numpy as np
import pytest
from PIL import Image

from mlxvid.catalog import CATALOG
from mlxvid.generate import PRESETS, main, parser, settings_of
from mlxvid.media.clip import Clip, read_settings
from mlxvid.model.memory import Machine


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(tiny_folder, here, capsys):
    """Run the command in this process with the tiny model: (exit code, standard output, standard
    error).
    """

    def command(*flags, model=True) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([*(["--model", str(tiny_folder)] if model else []), *map(str, flags)])
        return code, *capsys.readouterr()

    yield command
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # main is made for a process of its own


def sentence(result: tuple[int, str, str]) -> str:
    """The one sentence of a run that failed."""
    code, out, err = result
    assert (code, out) == (2, "") and err.count("\n") == 1 and "Traceback" not in err, err
    return err.strip()


def picture(path, value: int = 90) -> str:
    Image.fromarray(np.full((32, 32, 3), value, np.uint8)).save(path)
    return str(path)


def frames_of(path) -> np.ndarray:
    return Clip.load(path).frames


@pytest.mark.parametrize("name", ["clip.mp4", "clip.gif", "clip.webm", "clip", "clip/"])
def test_prompt_to_file(run, here, name):
    code, out, err = run("--prompt", "a red ball", "-o", name, "--seed", 3)
    assert (code, out) == (0, f"{name}\n") and "seed 3, " in err and "denoise" in err
    assert os.listdir(here) == [name.rstrip("/")]
    clip = Clip.load(name)
    assert clip.frames.shape == (9, 32, 32, 3) and clip.fps == 8 and clip.settings["seed"] == 3


def test_one_picture(run, here):
    assert run("--prompt", "a red ball", "-o", "ball.png", "--frames", 1)[0] == 0
    assert Image.open("ball.png").size == (32, 32)


def test_json_is_all_there_is_on_standard_output(run):
    code, out, err = run(
        "--prompt",
        "a purple ball",
        "-o",
        "clip.mp4",
        "--progress",
        "json",
        "--width",
        40,
        "--seed",
        3,
    )
    events = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "") and [e["event"] for e in events if e["event"] != "progress"] == [
        "load",
        "note",
        "note",
        "saved",
    ]
    assert events[1]["text"] == "40x32 is rounded to 32x32: this model's sizes are multiples of 16."
    assert events[2]["text"] == "Not known to this model: purple. It knows balls and stars."
    saved = events[-1]
    assert (saved["path"], saved["seed"]) == ("clip.mp4", 3) and saved["settings"] == read_settings(
        "clip.mp4"
    )
    progress = [e for e in events if e["event"] == "progress"]
    assert [stage for stage in dict.fromkeys(e["stage"] for e in progress)] == [
        "encode",
        "denoise",
        "decode",
        "save",
    ]
    assert progress[-1]["step"] == progress[-1]["total"] == 9
    assert progress[-1].keys() == {"event", "stage", "step", "total", "elapsed", "remaining"}


def test_quiet_prints_the_path_and_notes(run):
    assert run("--prompt", "a red ball", "-o", "clip.mp4", "--progress", "none", "--frames", 6) == (
        0,
        "clip.mp4\n",
        "6 frames are rounded to 5: this model's frame counts are 1 + 4k.\n",
    )


def test_what_a_format_changes_is_said(run, monkeypatch):
    code, out, err = run(
        "--prompt", "a red ball", "-o", "clip.gif", "--progress", "none", "--fps", 30
    )
    assert code == 0 and "GIF counts in steps of 10 ms" in err


def test_names_after_the_prompt_replace_nothing(run, here):
    for _ in range(3):
        assert run("--prompt", "A red ball!", "--progress", "none", "--frames", 1)[0] == 0
    assert sorted(os.listdir(here)) == ["a-red-ball-1.mp4", "a-red-ball-2.mp4", "a-red-ball.mp4"]
    assert (
        run("--prompt", "紅い球", "--progress", "none", "--frames", 1, "--count", 2)[1]
        == "clip-1.mp4\nclip-2.mp4\n"
    )
    assert (
        run("--prompt", "紅い球", "--progress", "none", "--frames", 1, "--count", 2)[1]
        == "clip-1-1.mp4\nclip-1-2.mp4\n"
    )


@pytest.mark.parametrize(
    ("output", "names"),
    [
        ("clip.mp4", ["clip-1.mp4", "clip-2.mp4"]),
        ("clip", ["clip-1", "clip-2"]),
        ("v1.0/", ["v1.0-1", "v1.0-2"]),
    ],
)
def test_count_makes_several_with_the_seeds_that_follow(run, here, output, names):
    code, out, _ = run(
        "--prompt",
        "a red ball",
        "-o",
        output,
        "--count",
        2,
        "--seed",
        5,
        "--progress",
        "none",
        "--frames",
        5,
    )
    assert (
        code == 0
        and [line.rstrip("/") for line in out.splitlines()] == names
        and sorted(os.listdir(here)) == names
    )
    assert [read_settings(name)["seed"] for name in names] == [5, 6]
    assert (
        run(
            "--prompt",
            "a red ball",
            "-o",
            "one.mp4",
            "--seed",
            6,
            "--progress",
            "none",
            "--frames",
            5,
        )[0]
        == 0
    )
    if output == "clip.mp4":
        assert np.array_equal(frames_of("one.mp4"), frames_of("clip-2.mp4"))


def test_from_repeats_a_clip_bit_for_bit(run, here, tmp_path):
    first = picture(tmp_path / "first.png")
    flags = [
        "--negative-prompt",
        "a star",
        "--image",
        first,
        "--keyframe",
        f"4={first}",
        "--width",
        48,
        "--frames",
        13,
        "--fps",
        12,
    ]
    flags += [
        "--steps",
        2,
        "--guidance",
        3.5,
        "--sampler",
        "heun",
        "--attention",
        "full",
        "--seed",
        9,
    ]
    assert run("--prompt", "a red ball", "-o", "one", *flags)[0] == 0
    assert run("--from", "one", "-o", "two", model=False)[0] == 0
    assert np.array_equal(frames_of("one"), frames_of("two")) and read_settings(
        "one"
    ) == read_settings("two")
    for name in ("frame_0000.png", "frame_0012.png"):
        assert (here / "one" / name).read_bytes() == (here / "two" / name).read_bytes()


def test_flags_win_over_from(run, tmp_path):
    first, other = picture(tmp_path / "first.png"), picture(tmp_path / "other.png", 200)
    assert (
        run(
            "--prompt",
            "a red ball",
            "-o",
            "one.mp4",
            "--seed",
            9,
            "--image",
            first,
            "--last-image",
            first,
        )[0]
        == 0
    )
    assert (
        run(
            "--from",
            "one.mp4",
            "-o",
            "two.mp4",
            "--steps",
            1,
            "--fps",
            16,
            "--image",
            other,
            model=False,
        )[0]
        == 0
    )
    settings = read_settings("two.mp4")
    assert (settings["steps"], settings["fps"], settings["seed"], settings["frames"]) == (
        1,
        16,
        9,
        9,
    )
    assert settings["keyframes"] == {"0": other, "8": first}
    assert (
        run(
            "--from",
            "one.mp4",
            "-o",
            "three.mp4",
            "--last-image",
            other,
            "--keyframe",
            f"0={other}",
            model=False,
        )[0]
        == 0
    )
    assert read_settings("three.mp4")["keyframes"] == {"0": other, "8": other}
    assert (
        run(
            "--from",
            "one.mp4",
            "-o",
            "four.mp4",
            "--seconds",
            2,
            "--last-image",
            other,
            model=False,
        )[0]
        == 0
    )  # 16 frames -> 17
    assert (
        read_settings("four.mp4")["keyframes"] == {"0": first, "16": other}
        and read_settings("four.mp4")["frames"] == 17
    )
    assert sentence(run("--from", "one.mp4", "--frames", 5, model=False)) == (
        "There is no frame 8 to put a picture in: this clip's frames are 0 to 4."
    )


def test_seconds_count_at_the_models_rate_or_the_given_one(run):
    for flags, frames in (
        (["--seconds", 1], 9),
        (["--seconds", 1, "--fps", 16], 17),
        (["--seconds", 0.01], 1),
    ):
        assert run("--prompt", "a red ball", "-o", "clip.mp4", "--steps", 1, *flags)[0] == 0
        assert read_settings("clip.mp4")["frames"] == frames


def test_the_picture_is_found_again_from_another_folder(run, here, monkeypatch):
    picture(here / "first.png")
    assert (
        run("--prompt", "a red ball", "-o", "one.mp4", "--image", "first.png", "--seed", 1)[0] == 0
    )
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert run("--from", "../one.mp4", "-o", "two.mp4", model=False)[0] == 0
    assert np.array_equal(frames_of("two.mp4"), frames_of("../one.mp4"))
    (here / "first.png").unlink()
    assert (
        sentence(run("--from", "../one.mp4", model=False))
        == f"There is no file {here}/first.png: check the name."
    )


END = "; python -m mlxvid.generate --help lists the flags."
BAD_FLAGS = {
    "nothing": (
        [],
        'What should the clip show? Say it with --prompt "…", or repeat a clip with --from.',
    ),
    "empty": (
        ["--prompt", " "],
        'What should the clip show? Say it with --prompt "…", or repeat a clip with --from.',
    ),
    "unknown": (["--promt", "x"], "There is no flag --promt (did you mean --prompt?)" + END),
    "stray": (
        ["--prompt", "a", "red", "ball"],
        "'red' belongs to no flag (a value with spaces needs quotes)" + END,
    ),
    "no value": (["--prompt"], "--prompt: expected one argument" + END),
    "width": (
        ["--prompt", "x", "--width", "0"],
        "--width must be a whole number of pixels from 1 to 16384, not '0'" + END,
    ),
    "height": (
        ["--prompt", "x", "--height", "1e3"],
        "--height must be a whole number of pixels from 1 to 16384, not '1e3'" + END,
    ),
    "frames": (
        ["--prompt", "x", "--frames", "-1"],
        "--frames must be a whole number of frames from 1 to 100000, not '-1'" + END,
    ),
    "seconds": (
        ["--prompt", "x", "--seconds", "nan"],
        "--seconds must be a number above 0, not 'nan'" + END,
    ),
    "both": (
        ["--prompt", "x", "--seconds", "1", "--frames", "9"],
        "--frames: not allowed with argument --seconds" + END,
    ),
    "fps": (
        ["--prompt", "x", "--fps", "2000"],
        "Frames a second must be a number from 0.1 to 1000, not 2000.0.",
    ),
    "steps": (
        ["--prompt", "x", "--steps", "0"],
        "--steps must be a whole number from 1 up, not '0'" + END,
    ),
    "many steps": (
        ["--prompt", "x", "--steps", "1001"],
        "Steps must be a whole number of steps from 1 to 1000, not 1001.",
    ),
    "guidance": (
        ["--prompt", "x", "--guidance", "-1"],
        "--guidance must be a number from 0 up, not '-1'" + END,
    ),
    "seed": (
        ["--prompt", "x", "--seed", "-1"],
        "--seed must be a whole number from 0 to 2^63 - 1, not '-1'" + END,
    ),
    "sampler": (
        ["--prompt", "x", "--sampler", "dpm"],
        "This model has no sampler 'dpm'; use one of: euler, heun.",
    ),
    "attention": (
        ["--prompt", "x", "--attention", "all"],
        "This model has no attention mode 'all'; use one of: factored, full, spatial.",
    ),
    "quantize": (
        ["--prompt", "x", "--quantize", "3"],
        "--quantize: invalid choice: 3 (choose from 4, 8)" + END,
    ),
    "dtype": (
        ["--prompt", "x", "--dtype", "int8"],
        "There is no dtype 'int8'; use one of: float32, bfloat16, float16.",
    ),
    "count": (
        ["--prompt", "x", "--count", "1001"],
        "--count goes up to 1000, and its last seed up to 2^63 - 1: make fewer clips, or begin at a smaller seed.",
    ),
    "last seed": (
        ["--prompt", "x", "--count", "2", "--seed", str(2**63 - 1)],
        "--count goes up to 1000, and its last seed up to 2^63 - 1: make fewer clips, or begin at a smaller seed.",
    ),
    "progress": (["--prompt", "x", "--progress", "xml"], None),
    "keyframe": (
        ["--prompt", "x", "--keyframe", "first.png"],
        "--keyframe must be N=FILE as in 16=middle.png, not 'first.png'" + END,
    ),
    "keyframes": (
        ["--prompt=x", "--keyframe", "4=a", "--keyframe", "4=b"],
        "Two pictures are given for frame 4; leave one of them out.",
    ),
    "keyframe beyond": (
        ["--prompt", "x", "--keyframe", "9=a"],
        "There is no frame 9 to put a picture in: this clip's frames are 0 to 8.",
    ),
    "worker": (
        ["--worker"],
        "--worker goes with no other flag: what to make comes as JSON lines on standard input.",
    ),
    "no format": (
        ["--prompt", "x", "-o", "clip.avi"],
        "clip.avi ends in .avi, which has no format: end it in .mp4, .webm, .gif, .png, or / for a folder.",
    ),
    "no image": (
        ["--prompt", "x", "--image", "none.png"],
        "There is no file {here}/none.png: check the name.",
    ),
    "no clip": (["--from", "none.mp4"], "There is no clip none.mp4: check the name."),
    "no model": (
        ["--prompt=x", "--model=minni"],
        "There is no model called 'minni' (did you mean mini?); --list-models shows every name.",
    ),
    "a picture of 9 frames": (
        ["--prompt", "x", "-o", "clip.png"],
        "One .png holds one picture and this clip has 9 frames: end the name in .mp4, .gif or .webm, or in / for a folder of pictures.",
    ),
    "no folder": (
        ["--prompt", "x", "-o", "nowhere/clip.mp4"],
        "The folder {here}/nowhere does not exist: create it, or choose another place for clip.mp4.",
    ),
    "not text": (
        ["--prompt", "a \udcff"],
        "The prompt must be text (in UTF-8, where it comes from a terminal or file).",
    ),
    "far too long": (
        ["--prompt", "x", "--seconds", "1e9"],
        "Frames must be a whole number of frames from 1 to 100000, not 8000000000.",
    ),
}


@pytest.mark.parametrize("name", BAD_FLAGS)
def test_every_bad_flag_is_one_sentence_and_leaves_nothing(run, here, name):
    flags, expected = BAD_FLAGS[name]
    said = sentence(run(*flags, "--progress", "none") if name != "progress" else run(*flags))
    assert expected is None or said == expected.replace("{here}", str(here))
    assert os.listdir(here) == []


def test_from_a_bad_file_is_one_sentence(run, here, tmp_path):
    (here / "text.mp4").write_text("no clip at all")
    Clip(np.zeros((1, 8, 8, 3), np.uint8) + 9, 8, {}).save("bare.mp4")
    container = av.open("foreign.mp4", "w")
    stream = container.add_stream("libx264", rate=8)
    stream.width = stream.height = 16
    container.mux(
        stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24"))
    )
    container.mux(stream.encode())
    container.close()
    assert (
        sentence(run("--from", "text.mp4"))
        == "text.mp4 is not a clip that can be read, or is damaged: copy or make it again."
    )
    assert (
        sentence(run("--from", "foreign.mp4"))
        == "foreign.mp4 holds no mlxvid settings: give a clip that mlxvid saved."
    )
    assert sentence(run("--from", "bare.mp4")) == BAD_FLAGS["nothing"][1]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"seed": "7"}, 'The settings in odd.mp4 give seed as "7", which no clip can have.'),
        ({"width": True}, "The settings in odd.mp4 give width as true, which no clip can have."),
        ({"prompt": 5}, "The settings in odd.mp4 give prompt as 5, which no clip can have."),
        (
            {"keyframes": [1]},
            "The settings in odd.mp4 give keyframes as [1], which no clip can have.",
        ),
        (
            {"keyframes": {"x": "a.png"}},
            'Keyframes are paths by frame number, as in {"16": "middle.png"}.',
        ),
        (
            {"keyframes": {"0": 5}},
            'Keyframes are paths by frame number, as in {"16": "middle.png"}.',
        ),
        ({"frames": -9}, "Frames must be a whole number of frames from 1 to 100000, not -9."),
        (
            {"latents": "given"},
            "odd.mp4 was made from arrays that are not in the file; repeat it in Python with the same arrays.",
        ),
        (
            {"keyframes": {"0": "a picture in memory"}},
            "odd.mp4 was made from arrays that are not in the file; repeat it in Python with the same arrays.",
        ),
        (
            {"model": "/gone/model"},
            "There is no model called '/gone/model'; --list-models shows every name.",
        ),
    ],
)
def test_from_a_clip_with_odd_settings_is_one_sentence(run, here, tiny_folder, settings, expected):
    clip = Clip(
        np.zeros((1, 8, 8, 3), np.uint8) + 9,
        8,
        {"prompt": "a ball", "model": str(tiny_folder), "mood": "good", **settings},
    )
    clip.save("odd.mp4")
    assert sentence(run("--from", "odd.mp4", "--progress", "none", model=False)) == expected
    assert os.listdir(here) == ["odd.mp4"]


def test_a_picture_of_mini_is_refused_before_it_is_loaded(run, here, monkeypatch):
    monkeypatch.setattr("mlxvid.load", lambda **_: pytest.fail("loaded"), raising=False)
    said = sentence(run("--prompt", "x", "-o", "clip.png", model=False))
    assert said.startswith(
        f"One .png holds one picture and this clip has {CATALOG['mini'].defaults.frames} frames: "
    )
    assert sentence(
        run("--prompt", "x", "-o", "clip.png", "--model", "MINI", "--seconds", "1", model=False)
    ).startswith("One .png holds one")


def test_a_clip_that_can_not_fit_is_refused_before_it_is_loaded(run, here):
    said = sentence(
        run("--prompt", "x", "--width", 16384, "--height", 16384, "--frames", 99997, model=False)
    )
    assert said.startswith("mini needs about ") and os.listdir(here) == []


def test_force_begins_even_so(run, here, monkeypatch):
    monkeypatch.setattr(
        "mlxvid.plan.this_machine", lambda: Machine("a small one", 2**20, 2**19, False)
    )
    flags = ("--prompt", "x", "--seed", 1, "-o", "clip.mp4", "--progress", "none")
    assert (
        re.fullmatch(
            r"\S+ needs about .* and this machine has 0\.5 MiB to give; .*\.", sentence(run(*flags))
        )
        and os.listdir(here) == []
    )
    assert run(*flags, "--force")[0] == 0 and os.listdir(here) == ["clip.mp4"]


def test_a_preset_is_its_four_flags_and_flags_win():
    def settings(*flags):
        return settings_of(parser().parse_args(["--prompt", "x", *flags]))[1]

    fast = settings("--preset", "lightning")
    assert {name: fast[name] for name in ("steps", "guidance", "sampler", "shift")} == PRESETS[
        "lightning"
    ]
    assert fast == settings("--steps", "4", "--guidance", "1", "--sampler", "euler", "--shift", "5")
    assert settings("--preset", "causvid", "--steps", "6") == {
        **settings("--preset", "causvid"),
        "steps": 6,
    }


def test_list_models(run):
    code, out, err = run("--list-models", model=False)
    assert (code, err) == (0, "") and out.startswith("mini ")


def test_a_broken_result_is_an_error_that_says_where_the_latents_are(
    run, here, tiny_folder, tmp_path, own_cache
):
    broken = shutil.copytree(tiny_folder, tmp_path / "broken")
    path = broken / "transformer" / "diffusion_pytorch_model.safetensors"
    weights = mx.load(str(path))
    mx.eval(weights)
    mx.save_safetensors(str(path), {**weights, "proj_out.bias": mx.full((16,), float("nan"))})
    said = sentence(
        run(
            "--prompt",
            "a ball",
            "--model",
            broken,
            "-o",
            "clip.mp4",
            "--progress",
            "none",
            model=False,
        )
    )
    (kept,) = (own_cache / "latents").iterdir()
    assert said == (
        "The latents have values that are not finite after step 1 of 3; try --dtype float32, other weights or less guidance; "
        f"the latents are kept in {kept}."
    )
    assert os.listdir(here) == []


# --- in processes of their own --------------------------------------------------------------------


def command(tiny_folder, *flags) -> list[str]:
    return [
        sys.executable,
        "-m",
        "mlxvid.generate",
        "--model",
        str(tiny_folder),
        "--prompt",
        "a red ball",
        *map(str, flags),
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_mid_denoise_stops_within_a_step_and_leaves_nothing(
    tiny_folder, here, own_cache, number
):
    flags = (
        "-o",
        "clip.mp4",
        "--steps",
        1000,
        "--progress",
        "json",
        "--sampler",
        "heun",
        "--width",
        128,
        "--height",
        128,
    )
    process = subprocess.Popen(
        command(tiny_folder, *flags), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        event = json.loads(line)
        if event.get("stage") == "denoise" and event["step"] == 3:
            process.send_signal(number)
            sent = time.monotonic()
            break
    rest = [json.loads(line) for line in process.stdout]
    assert process.wait(timeout=60) == 130 and process.stderr.read().startswith("Stopped; ")
    steps = [event["step"] for event in rest if event.get("stage") == "denoise"]
    assert max(steps, default=3) < 500 and len(rest) == len(steps), (
        f"went on for {time.monotonic() - sent:.1f} s"
    )
    assert os.listdir(here) == [] and not (own_cache / "latents").exists()


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tiny_folder, here):
    """A limit on the size of files stands in for the disk's; the kept latents, 1 kB, still fit."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    flags = ("-o", "clip.mp4", "--progress", "none", "--frames", 33)
    run = subprocess.run(
        command(tiny_folder, *flags), preexec_fn=limit, capture_output=True, text=True, timeout=120
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert (
        run.stderr.startswith("clip.mp4 can't be written (File too large): ")
        and run.stderr.count("\n") == 1
    )
    assert os.listdir(here) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(run, here):
    here.chmod(0o555)
    try:
        assert "can't be written (Permission denied)" in sentence(
            run("--prompt", "x", "-o", "clip.mp4")
        )
    finally:
        here.chmod(0o755)


def test_a_folder_that_nobody_can_write_to(run):
    assert "can't be written (" in sentence(run("--prompt", "x", "-o", "/proc/clip.mp4"))


def test_a_reader_that_goes_away_ends_the_command_quietly(tiny_folder, here):
    process = subprocess.Popen(
        command(tiny_folder, "-o", "clip.mp4", "--progress", "json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(timeout=60) == 141
    assert os.listdir(here) == []


def test_the_clip_is_the_same_in_another_process(tiny_folder, run, here):
    flags = ("--seed", 4, "--progress", "none")
    assert run("--prompt", "a red ball", "-o", "here", *flags)[0] == 0
    subprocess.run(
        command(tiny_folder, "-o", "there", *flags), check=True, timeout=120, capture_output=True
    )
    assert np.array_equal(frames_of("here"), frames_of("there"))
