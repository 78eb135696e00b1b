"""The worker as a client meets it: models, clips, previews, and jobs that are cancelled."""

from __future__ import annotations

import base64
import io
import os
import shutil

import mlx.core as mx
import numpy as np
from PIL import Image

from mlxvid.media.clip import Clip

# --- models --------------------------------------------------------------------------------------


def test_a_model_is_told_with_all_that_a_client_needs(client, tiny_folder):
    client.send(op="load", id="model", model=str(tiny_folder))
    event = client.until("loaded")
    assert event["id"] == "model"
    assert event["model"] == str(tiny_folder)
    assert event["defaults"]["frames"] == 9
    assert event["samplers"] == ["euler", "heun"]
    assert event["attention_modes"] == ["factored", "full", "spatial"]
    assert event["multiples"] == [16, 16]
    assert {"image", "keyframes", "negative_prompt"} <= set(event["takes"])
    assert event["needs"] == []


def test_the_model_of_the_package_is_loaded_where_none_is_named(client):
    client.generate(1, "clip.mp4", frames=5, steps=1)
    assert client.until("saved", "error")["settings"]["model"] == "mini"


def test_what_loads_is_a_setting_of_the_load_request(client, tiny_folder):
    client.send(op="load", id=1, model=str(tiny_folder), dtype="bfloat16", quantize=8)
    client.until("loaded", id=1)
    client.generate(2, "clip.mp4", seed=1)
    settings = client.until("saved", "error")["settings"]
    assert settings["dtype"] == "bfloat16"
    assert settings["quantize"] == 8


# --- clips ---------------------------------------------------------------------------------------


def test_a_clip(loaded):
    loaded.generate(1, "clip.mp4", "a purple ball", seed=3, width=None)
    saved = loaded.until("saved")
    assert (saved["id"], saved["path"], saved["seed"]) == (1, "clip.mp4", 3)
    clip = Clip.load(loaded.folder / "clip.mp4")
    assert clip.settings == saved["settings"]
    assert clip.frames.shape == (9, 32, 32, 3)
    notes = [event["text"] for event in loaded.passed if event["event"] == "note"]
    assert any("purple" in note for note in notes)
    progress = [event for event in loaded.passed if event["event"] == "progress"]
    assert {event["id"] for event in progress} == {1}
    stages = dict.fromkeys(event["stage"] for event in progress)
    assert list(stages) == ["encode", "denoise", "decode", "save"]
    assert not any(event["event"] == "preview" for event in loaded.passed)
    loaded.send(op="quit")
    assert loaded.end() == []


def test_pictures_by_frame_number(loaded):
    path = loaded.folder / "first.png"
    Image.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(path)
    loaded.generate(1, "clip", image="first.png", keyframes={"4": "first.png"})
    keyframes = loaded.until("saved")["settings"]["keyframes"]
    assert keyframes == {"0": str(path), "4": str(path)}
    loaded.generate(2, "two", image="first.png", keyframes={"0": "first.png"})
    assert "frame 0" in loaded.until("error")["message"]


def test_a_clip_is_made_anew(loaded):
    Clip(np.full((9, 32, 32, 3), 90, np.uint8), 10, {}).save(loaded.folder / "given.mp4")
    loaded.generate(1, "clip", video="given.mp4", strength=0.7, steps=3)
    event = loaded.until("saved")
    assert event["settings"]["video"] == str(loaded.folder / "given.mp4")
    assert (event["settings"]["strength"], event["settings"]["fps"]) == (0.7, 10)
    for number, odd in enumerate(({"strength": 0.5}, {"video": 5}, {"video": "gone.mp4"}), 2):
        loaded.generate(number, "clip", **odd)
        assert loaded.until("error")["message"]


def test_previews(loaded):
    settings = {"prompt": "a ball", "width": 512, "height": 16, "frames": 5}
    loaded.send(op="generate", id=1, output="clip.mp4", settings=settings, previews=True)
    preview = loaded.until("preview")
    assert (preview["id"], preview["step"]) == (1, 1)
    assert (preview["frames"], preview["width"], preview["height"]) == (5, 256, 8)
    strip = Image.open(io.BytesIO(base64.b64decode(preview["png"])))
    assert strip.format == "PNG"
    assert strip.size == (256, 40)
    loaded.until("saved")


def test_the_same_request_gives_the_same_clip(loaded):
    for name in ("one", "two"):
        loaded.generate(name, name, seed=3)
    assert loaded.until("saved")["id"] == "one"
    assert loaded.until("saved")["id"] == "two"
    one = Clip.load(loaded.folder / "one")
    two = Clip.load(loaded.folder / "two")
    assert np.array_equal(one.frames, two.frames)


def test_latents_of_a_broken_result_are_named(client, tiny_folder, tmp_path):
    broken = shutil.copytree(tiny_folder, tmp_path / "broken")
    path = broken / "vae" / "diffusion_pytorch_model.safetensors"
    weights = mx.load(str(path))
    mx.eval(weights)
    bias = mx.full(weights["decoder.up.bias"].shape, float("nan"))
    mx.save_safetensors(str(path), {**weights, "decoder.up.bias": bias})
    client.send(op="load", model=str(broken))
    client.generate(1, "clip.mp4")
    event = client.until("error")
    assert event["kind"] == "DegenerateClipError"
    assert os.path.isfile(event["latents"])
    assert event["latents"] in event["message"]


# --- cancelling ----------------------------------------------------------------------------------


def test_cancelling_a_running_job_and_one_that_waits(loaded):
    loaded.generate_for_long("running")
    loaded.generate_for_long("waiting")
    loaded.generate("last", "last.mp4")
    loaded.until("progress", stage="denoise", step=2)
    loaded.send(op="cancel", id="waiting")
    loaded.send(op="cancel", id="running")
    assert loaded.until("cancelled") == {"event": "cancelled", "id": "running"}
    steps = [event["step"] for event in loaded.passed]
    assert max(steps, default=2) < 900
    assert loaded.event() == {"event": "cancelled", "id": "waiting"}
    assert loaded.until("saved")["id"] == "last"
    loaded.send(op="cancel", id="running")
    note = loaded.event()
    assert note["event"] == "note"
    assert '"running"' in note["text"]
    assert loaded.files() == ["last.mp4"]


def test_cancelling_without_an_id_cancels_everything(loaded):
    loaded.generate_for_long("a")
    loaded.generate_for_long("b")
    loaded.until("progress", stage="denoise", step=1)
    loaded.send(op="cancel")
    assert loaded.until("cancelled")["id"] == "a"
    assert loaded.until("cancelled")["id"] == "b"
    loaded.send(op="cancel")
    assert loaded.event()["event"] == "note"


def test_an_id_may_be_used_again_after_it_was_cancelled(loaded):
    loaded.generate_for_long("job")
    loaded.send(op="cancel", id="job")
    loaded.until("cancelled", id="job")
    loaded.generate("job", "clip.mp4")
    assert loaded.until("saved", "cancelled")["event"] == "saved"
