"""What only Open-Sora can be told: scores, sizes by name, other clips, texts for the pieces of a
long clip; and that clips repeat.
"""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import signal
import threading

import numpy as np
import pytest

import mlxvid
from mlxvid import plan
from mlxvid.catalog import CATALOG
from mlxvid.errors import CancelledError, ModelNotFoundError, SettingError, WeightsError
from mlxvid.generate import main
from mlxvid.hub import assembly as assemble
from mlxvid.media.clip import Clip
from mlxvid.model.facts import facts_of
from mlxvid.model.folder import Folder
from mlxvid.model.memory import GIB, this_machine
from mlxvid.models.opensora import geometry
from mlxvid.models.opensora.defaults import GEOMETRY
from mlxvid.models.opensora.long import pieces
from mlxvid.run import checkpoint as keep
from mlxvid.worker import Worker

from . import tiny as tiny_opensora

SMALL = {"width": 48, "height": 32, "steps": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_opensora.write_model(tmp_path_factory.mktemp("opensora") / "tiny")


@pytest.fixture
def pipe(folder):
    return mlxvid.load(str(folder))


@pytest.fixture
def short_pieces(monkeypatch):
    """Pieces of at most 34 frames."""
    monkeypatch.setattr(geometry, "LONGEST", ((10**9, 34),))


@pytest.fixture
def run(folder, tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder: (exit code, standard output, standard error)."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def command(*flags, model: str | None = str(folder)) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([*(["--model", model] if model else []), *map(str, flags)])
        return code, *capsys.readouterr()

    yield command
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # main is made for a process of its own


def noisy(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


# --- options --------------------------------------------------------------------------------------


def test_options_are_in_the_settings_and_change_the_clip(pipe):
    plain = pipe.generate("a star", seed=1, **SMALL)
    assert plain.settings["options"] == {"aesthetic": 6.5}
    told = pipe.generate(
        "a star",
        seed=1,
        options={"aesthetic": 0, "motion_score": 2, "camera_motion": " pan left "},
        **SMALL,
    )
    assert told.settings["options"] == {
        "aesthetic": 0.0,
        "motion_score": 2.0,
        "camera_motion": "pan left",
    }
    assert (told.frames != plain.frames).any()
    assert (pipe.generate("a star", seed=1, **SMALL).frames == plain.frames).all()


def test_what_the_text_encoder_reads(pipe):
    def words(prompt: str, frames: int = 17, **options) -> str:
        from mlxvid.run.complete import complete

        return pipe.model.prompt(
            complete(pipe.model, prompt, frames=frames, options=options, **SMALL)
        )

    assert words("a star") == "a star aesthetic score: 6.5."
    assert words("a star", aesthetic=0) == "a star"
    assert (
        words("a star", aesthetic=0, motion_score=5, camera_motion="zoom in")
        == "a star motion score: 5.0. camera motion: zoom in."
    )
    assert words("a star. aesthetic score: 4.0.") == "a star. aesthetic score: 4.0."
    with pytest.raises(
        SettingError,
        match="^The prompt has a text from piece 1 on, and this clip is made in 1: numbered from 0.$",
    ):
        words("|0|a ball|1|a star")


def test_texts_of_pieces_each_get_the_scores(pipe, short_pieces):
    from mlxvid.run.complete import complete

    request = complete(
        pipe.model, "|0|a ball|1|a star", frames=51, options={"aesthetic": 5}, **SMALL
    )
    assert (
        pipe.model.prompt(request)
        == "|0|a ball aesthetic score: 5.0.|1|a star aesthetic score: 5.0."
    )
    told = pipe.model.encode_text(["", pipe.model.prompt(request)])
    assert told["text"].shape[:2] == (2, 2) and told["prompted"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"aesthetic": 11}, "--aesthetic must be a number from 0 to 10, not 11."),
        ({"motion_score": "much"}, "--motion-score must be a number from 0 to 100, not 'much'."),
        ({"edit": float("nan")}, "--edit must be a number from 0 to 1, not nan."),
        ({"camera_motion": "  "}, "--camera-motion is a text of up to 200 characters, not '  '."),
        (
            {"camera_motion": "pan\nleft"},
            "--camera-motion is a text of up to 200 characters, not 'pan\\nleft'.",
        ),
        (
            {"zoom": 1},
            "There is no option 'zoom'; there are: aesthetic, motion_score, camera_motion, edit.",
        ),
    ],
)
def test_wrong_options(pipe, options, sentence):
    with pytest.raises(SettingError) as caught:
        pipe.generate("a star", options=options, **SMALL)
    assert str(caught.value) == sentence


def test_a_model_that_does_not_take_them(tiny):
    for settings, sentence in [
        (
            {"options": {"aesthetic": 5}},
            "This model has no --aesthetic; --list-models shows what each can do.",
        ),
        (
            {"extend": noisy(1, 20, 32, 32)},
            "This model has no --extend; --list-models shows what each can do.",
        ),
        (
            {"resolution": "480p"},
            "This model's sizes have no names; give --width and --height in place of --resolution and --aspect.",
        ),
    ]:
        with pytest.raises(SettingError) as caught:
            tiny.generate("a red ball", **settings)
        assert str(caught.value) == sentence


def test_no_negative_prompt(pipe):
    with pytest.raises(SettingError, match="^This model takes no negative prompt; leave it out.$"):
        pipe.generate("a star", negative_prompt="ugly", **SMALL)


def test_flags_travel_in_the_clip_and_are_repeated(run):
    flags = (
        "--aesthetic",
        5,
        "--motion-score",
        3,
        "--camera-motion",
        "pan left",
        "--seed",
        4,
        "--steps",
        1,
    )
    assert (
        run(
            "--prompt",
            "a star",
            "--resolution",
            "144p",
            "--aspect",
            "1:1",
            "--frames",
            5,
            *flags,
            "-o",
            "one.mp4",
        )[0]
        == 0
    )
    assert run("--from", "one.mp4", "-o", "two.mp4", model=None)[0] == 0
    one, two = Clip.load("one.mp4"), Clip.load("two.mp4")
    assert one.settings == two.settings and (one.frames == two.frames).all()
    assert one.settings["options"] == {
        "aesthetic": 5.0,
        "motion_score": 3.0,
        "camera_motion": "pan left",
    }
    assert one.frames.shape == (5, 192, 192, 3) and "resolution" not in one.settings
    code, _, err = run(
        "--from",
        "one.mp4",
        "--aesthetic",
        0,
        "--resolution",
        "144p",
        "--aspect",
        "16:9",
        "-o",
        "three.mp4",
        model=None,
    )
    assert code == 0 and Clip.load("three.mp4").frames.shape == (5, 144, 256, 3)
    assert Clip.load("three.mp4").settings["options"] == {
        "aesthetic": 0.0,
        "motion_score": 3.0,
        "camera_motion": "pan left",
    }


def test_mistakes_on_the_command_line(run):
    for flags, sentence in [
        (("--aesthetic", 20), "--aesthetic must be a number from 0 to 10, not 20.0."),
        (
            ("--resolution", "480p", "--width", 64),
            "Give a size by --width and --height or by --resolution and --aspect, not by both.",
        ),
        (
            ("--aspect", "5:4"),
            "There is no aspect '5:4' (width to height); use one of: 8:3, 21:9, 25:12, 2:1, 17:9, 50:27, 16:9, 8:5, 3:2, 4:3, 1:1, 3:4, "
            "2:3, 9:16, 9:17, 1:2, 27:50.",
        ),
        (
            ("--extend", "nothing.mp4"),
            f"There is no clip {os.path.abspath('nothing.mp4')}: check the name.",
        ),
        (("--sampler", "heun"), "This model has no sampler 'heun'; use one of: euler."),
    ]:
        code, out, err = run("--prompt", "a star", "--frames", 5, *flags, "-o", "clip.mp4")
        assert (code, out, err.count("\n")) == (2, "", 1) and sentence in err
        assert os.listdir() == []


def test_the_worker_takes_options(folder, tmp_path):
    class Events(list):
        def write(self, line):
            self.append(json.loads(line))

        def flush(self):
            pass

    events = Events()
    worker = Worker(events)
    settings = {
        "prompt": "a star",
        "frames": 5,
        "seed": 1,
        "resolution": "144p",
        "aspect": "1:1",
        "steps": 1,
        "options": {"aesthetic": 5},
    }
    requests = [
        {"op": "load", "id": 1, "model": str(folder)},
        {"op": "generate", "id": 2, "output": str(tmp_path / "clip.mp4"), "settings": settings},
        {
            "op": "generate",
            "id": 3,
            "output": str(tmp_path / "clip.mp4"),
            "settings": {**settings, "options": {"aesthetic": "high"}},
        },
    ]
    worker.listen(io.StringIO("".join(json.dumps(request) + "\n" for request in requests)))
    worker.run()
    saved = next(e for e in events if e["event"] == "saved")
    assert saved["settings"]["options"] == {"aesthetic": 5.0} and Clip.load(
        tmp_path / "clip.mp4"
    ).frames.shape == (5, 192, 192, 3)
    assert next(e for e in events if e["event"] == "loaded")["capabilities"][0] == "aesthetic"
    assert events[-1]["message"] == "--aesthetic must be a number from 0 to 10, not 'high'."


# --- lengths and sizes ----------------------------------------------------------------------------


def test_lengths():
    good = [n for n in range(1, 60) if GEOMETRY.round_frames(n) == (n, None)]
    assert good == [1, 5, 9, 13, 17, 18, 22, 26, 30, 34, 35, 39, 43, 47, 51, 52, 56]
    assert [GEOMETRY.latent_frames(n) for n in good] == list(range(1, 18))
    assert [GEOMETRY.pixel_frames(n) for n in range(1, 18)] == good
    assert GEOMETRY.round_frames(24) == (
        22,
        "24 frames are rounded to 22: this model's frame counts are 17k, and 1, 5, … 13 more.",
    )
    assert [GEOMETRY.round_frames(n)[0] for n in (2, 3, 4, 16, 19, 20, 21)] == [
        1,
        1,
        5,
        17,
        18,
        18,
        22,
    ]


def test_sizes(pipe, caplog):
    assert GEOMETRY.round_size(854, 480) == (
        854,
        480,
        ["854x480 comes out as 848x480: this model's frames are multiples of 8."],
    )
    assert GEOMETRY.latent_shape(51, 854, 480) == (15, 60, 106) and GEOMETRY.token_grid(
        51, 426, 240
    ) == (15, 15, 27)
    assert GEOMETRY.named_size("240p", None) == (426, 240) and GEOMETRY.named_size(
        "720p", "9:16"
    ) == (720, 1280)
    with caplog.at_level(logging.WARNING):
        clip = pipe.generate("a star", seed=1, width=50, height=35, frames=5, steps=1)
    assert clip.frames.shape == (5, 32, 48, 3) and (
        clip.settings["width"],
        clip.settings["height"],
    ) == (50, 35)
    assert "50x35 comes out as 48x32: this model's frames are multiples of 8." in caplog.messages
    with pytest.raises(
        SettingError,
        match="^48x7 is too small for this model; its clips have at least 8 pixels a side.$",
    ):
        pipe.generate("a star", width=48, height=7)


def test_where_pictures_can_be():
    """As the reference aligns them: at the beginnings of whole chunks."""
    assert [GEOMETRY.slot(n, 51) for n in (0, 8, 9, 17, 25, 26, 34, 50)] == [
        (0, 0),
        (0, 0),
        (5, 17),
        (5, 17),
        (5, 17),
        (10, 34),
        (10, 34),
        (10, 34),
    ]
    assert GEOMETRY.slot(0, 1) == (0, 0)


@pytest.mark.parametrize("latents", [1, 5, 9, 10, 11, 24, 25, 26, 120, 212])
@pytest.mark.parametrize("longest", [10, 25, 120])
def test_pieces_cover_a_clip_and_overlap_by_a_chunk(latents, longest):
    made = pieces(latents, 5, longest)
    assert made[0].start == 0 and made[-1].stop == latents
    assert all(
        later.start == earlier.stop - 5 for earlier, later in zip(made, made[1:], strict=False)
    )
    assert all(len(piece) <= longest and piece.start % 5 == 0 for piece in made) and all(
        len(piece) > 5 for piece in made[1:]
    )
    assert len(made) == 1 or len(made) - 1 < latents / (longest - 5)


def test_a_long_clip_is_planned_by_its_pieces():
    entry, machine = CATALOG["opensora-1.2"], this_machine(64 * GIB)
    assert (
        entry.geometry.at_once(719, 424, 240) == 408
        and entry.geometry.at_once(719, 1280, 720) == 102
    )
    long, whole = (plan.plan(entry, frames=n, machine=machine) for n in (799, 408))
    assert long.stage_bytes["denoise"] == whole.stage_bytes["denoise"] and long.at_once == 408
    assert "pieces       408 frames at a time at most" in plan.text(
        long
    ) and "pieces  " not in plan.text(whole)


def test_wrong_joints(pipe):
    clip = noisy(1, 20, 32, 48)
    for settings, sentence in [
        (
            {"extend": clip[:5]},
            "The clip to extend has fewer frames than the 17 that it shares with the new one; give a longer one.",
        ),
        (
            {"extend": clip, "frames": 17},
            "This clip shares 17 frames with others; make it longer than that.",
        ),
        (
            {"extend": clip, "join": clip, "frames": 34},
            "This clip shares 34 frames with others; make it longer than that.",
        ),
        (
            {"join": clip, "frames": 47},
            "A clip that joins another has a multiple of 17 frames, not 47; make it 51 frames long.",
        ),
        (
            {"join": clip, "frames": 18},
            "A clip that joins another has a multiple of 17 frames, not 18; make it 34 frames long.",
        ),
        (
            {"extend": clip, "join": clip, "frames": 39},
            "A clip that joins another has a multiple of 17 frames, not 39; make it 51 frames long.",
        ),
        (
            {"extend": clip, "image": clip[0], "frames": 51},
            "Two pictures are given for frame 0; leave one of them out.",
        ),
    ]:
        with pytest.raises(SettingError) as caught:
            pipe.generate("a star", **settings, **SMALL)
        assert str(caught.value) == sentence


def test_extending_and_connecting_files(run):
    """The clips' paths are in the settings, so that --from repeats it; with one clip at both ends
    the three make a loop.
    """
    Clip(noisy(1, 20, 32, 48), 24).save("before.mp4")
    flags = (
        "--prompt",
        "a star",
        "--extend",
        "before.mp4",
        "--join",
        "before.mp4",
        "--frames",
        51,
        "--steps",
        1,
        "--seed",
        1,
    )
    assert run(*flags, "-o", "between.mp4")[0] == 0
    assert run("--from", "between.mp4", "-o", "again.mp4", model=None)[0] == 0
    between, again = Clip.load("between.mp4"), Clip.load("again.mp4")
    assert between.settings["extend"] == between.settings["join"] == os.path.abspath("before.mp4")
    assert (between.frames == again.frames).all() and between.frames.shape == (51, 32, 48, 3)


# --- long clips -----------------------------------------------------------------------------------


def test_a_long_clip_is_told_of_as_one_and_goes_on_where_it_stopped(
    pipe, short_pieces, monkeypatch
):
    monkeypatch.setattr(keep, "CHECKPOINT_SECONDS", 0.0)
    steps, previews = [], []

    def on_progress(progress):
        if progress.stage == "denoise":
            steps.append((progress.step, progress.total))
            if progress.step:
                previews.append(len(progress.preview()))

    settings = {"frames": 51, "seed": 5, "width": 48, "height": 32, "steps": 2}
    whole = pipe.generate("a star", on_progress=on_progress, **settings)
    assert steps == [(n, 4) for n in range(5)] and previews == [34, 34, 51, 51]
    assert whole.frames.shape == (51, 32, 48, 3)
    for last in (1, 2, 3):
        stop = threading.Event()
        reach = lambda progress, last=last, stop=stop: (
            progress.stage == "denoise" and progress.step == last and stop.set()
        )  # noqa: E731
        with pytest.raises(CancelledError):
            pipe.generate("a star", on_progress=reach, cancel=stop, **settings)
        began = []
        begin = lambda progress, began=began: (
            progress.stage == "denoise" and began.append(progress.step)
        )  # noqa: E731
        again = pipe.generate("a star", resume=True, on_progress=begin, **settings)
        assert began[0] == last and (again.frames == whole.frames).all()
    assert keep.saved_runs() == []


def test_an_edit_ratio_lets_given_frames_change(pipe):
    image = noisy(1, 32, 48)

    def latents(**options) -> np.ndarray:
        clip = pipe.generate("a star", frames=17, seed=1, width=48, height=32, steps=5, **options)
        return np.array(keep.read_latents(clip.kept.path)[0])

    kept, edited, made = (latents(image=image, options={"edit": ratio}) for ratio in (0, 0.4, 1))
    assert np.abs(edited - kept)[:, 0].min() > 0 and np.abs(edited - made)[:, 0].min() > 0
    assert np.abs(edited - kept)[:, 0].mean() < np.abs(made - kept)[:, 0].mean()
    assert np.abs(made - latents()).max() < 1e-3  # what is made anew is not given


# --- where the parts are --------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The release's repositories as folders, in place of downloads."""
    parts, entry = tiny_opensora.write_parts(tmp_path / "hub"), CATALOG["opensora-1.2"]
    places = {
        (entry.repo, entry.revision): parts["transformer"],
        **{entry.parts[name]: parts[name] for name in ("vae", "text_encoder")},
    }
    monkeypatch.setattr(
        assemble, "download", lambda repo, revision, patterns, watch: places[repo, revision]
    )
    return parts


def test_the_release_is_put_together_from_its_repositories(hub, folder, own_cache):
    pipe = mlxvid.load("opensora-1.2")
    made = pipe.model.components.folder.path
    assert made.parent == own_cache / "models" and sorted(os.listdir(made)) == [
        "model_index.json",
        "text_encoder",
        "transformer",
        "vae",
    ]
    for name, path in hub.items():
        assert os.listdir(made / name) and all(
            (made / name / file).readlink() == path / file for file in os.listdir(path)
        )
    assert mlxvid.load("hpcai-tech/OpenSora-STDiT-v3").family.components.folder.path == made
    assert os.listdir(own_cache / "models") == [made.name]
    clip = pipe.generate("a star", frames=5, seed=1, **SMALL)
    assert clip.settings["model"] == "opensora-1.2"
    assert (
        clip.frames == mlxvid.load(str(folder)).generate("a star", frames=5, seed=1, **SMALL).frames
    ).all()
    assert pipe.model.defaults == CATALOG["opensora-1.2"].defaults


def test_where_no_links_can_be_made(hub, own_cache):
    own_cache.mkdir()
    (own_cache / "models").write_text("no folder")
    with pytest.raises(ModelNotFoundError) as caught:
        mlxvid.load("opensora-1.2")
    assert str(caught.value) == (
        f"opensora-1.2 can't be put together in {own_cache / 'models'} (Not a directory); set MLXVID_CACHE to a folder that takes links."
    )
    assert os.listdir(own_cache) == ["models"]


def test_parts_that_do_not_belong_together(folder, tmp_path):
    def broken(part: str, **changes) -> str:
        copy = shutil.copytree(folder, tmp_path / f"{part}{len(os.listdir(tmp_path))}")
        path = copy / part / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
        with pytest.raises(WeightsError) as caught:
            facts_of(Folder(copy))
        return str(caught.value).replace(str(copy), "FOLDER")

    other = "The parts of FOLDER come from different models; download or convert the model again."
    assert (
        broken("transformer", caption_channels=32) == other and broken("vae", embed_dim=8) == other
    )
    assert broken("text_encoder", d_model=64) == other
    assert broken("vae", micro_frame_size=16) == (
        "FOLDER/vae is no VAE of Open-Sora 1.2: The VAE's chunks are 1 + 4k frames, not 16, and a token is of one frame."
    )
