"""convert: a Diffusers folder in another type, in shards, quantized; all or nothing, and going on
where it stopped.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest.mock import create_autospec

import mlx.core as mx
import numpy as np
import pytest
import torch
from mlx.utils import tree_flatten

import mlxvid
from mlxvid import hub
from mlxvid.convert import convert
from mlxvid.convert.__main__ import main
from mlxvid.progress import Watch

SHARD_BYTES = 20_000  # a few files for each network of the tiny model


def weights_in(folder: Path) -> dict[str, mx.array]:
    """Every tensor of a component, from all of its files."""
    return {
        name: array
        for file in sorted(folder.glob("*.safetensors"))
        for name, array in mx.load(str(file)).items()
    }


def same(one: dict[str, mx.array], two: dict[str, mx.array]) -> bool:
    return one.keys() == two.keys() and all(
        one[k].dtype == two[k].dtype and mx.array_equal(one[k], two[k]) for k in one
    )


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# --- what is written ------------------------------------------------------------------------------


def test_a_converted_model_has_the_type_and_makes_nearly_the_same_clip(tiny_folder, tmp_path):
    out = convert(tiny_folder, tmp_path / "half", "float16")
    assert {
        w.dtype
        for name in ("vae", "text_encoder", "transformer")
        for w in weights_in(out / name).values()
    } == {mx.float16}
    clips = [
        mlxvid.load(str(folder)).generate("a red ball", seed=1).frames.astype(int)
        for folder in (tiny_folder, out)
    ]
    assert np.abs(clips[0] - clips[1]).max() <= 2


def test_everything_but_the_weights_is_carried_over_as_it_is(tiny_folder, tmp_path):
    source = shutil.copytree(tiny_folder, tmp_path / "source")
    for junk in (
        ".cache/x.json",
        "vae/model.onnx",
        "vae/pytorch_model.fp16.bin",
        "safety_checker/model.safetensors",
    ):
        (source / junk).parent.mkdir(exist_ok=True)
        (source / junk).write_bytes(b"no model")
    out = convert(source, tmp_path / "half", "bfloat16")
    assert bytes_in(out).keys() == bytes_in(tiny_folder).keys()
    for name, content in bytes_in(tiny_folder).items():
        assert name.endswith(".safetensors") or bytes_in(out)[name] == content


def test_shards_and_their_index_are_the_same_model(tiny_folder, tmp_path):
    whole = convert(tiny_folder, tmp_path / "whole", "float32")
    out = convert(tiny_folder, tmp_path / "shards", "float32", shard_bytes=SHARD_BYTES)
    for name, stem in (
        ("vae", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
        ("transformer", "diffusion_pytorch_model"),
    ):
        index = json.loads((out / name / f"{stem}.safetensors.index.json").read_text())
        files = sorted(path.name for path in (out / name).glob("*.safetensors"))
        assert (
            files
            == [f"{stem}-{n:05d}-of-{len(files):05d}.safetensors" for n in range(1, len(files) + 1)]
            and len(files) > 1
        )
        assert {k: f for f in files for k in mx.load(str(out / name / f))} == index["weight_map"]
        sizes = [sum(w.nbytes for w in mx.load(str(out / name / f)).values()) for f in files]
        assert sum(sizes) == index["metadata"]["total_size"]
        assert all(
            size <= SHARD_BYTES or len(mx.load(str(out / name / f))) == 1
            for size, f in zip(sizes, files, strict=True)
        )
        assert same(weights_in(out / name), weights_in(whole / name)) and same(
            weights_in(whole / name), weights_in(tiny_folder / name)
        )
    clips = [
        mlxvid.load(str(folder)).generate("a red ball", seed=1).frames for folder in (whole, out)
    ]
    assert np.array_equal(*clips)


def test_safetensors_own_library_reads_what_was_written(tiny_folder, tmp_path):
    from safetensors import safe_open

    out = convert(tiny_folder, tmp_path / "out", "bfloat16", quantize=8)
    for name, form in (("transformer", "mlx"), ("vae", "pt")):
        with safe_open(next((out / name).glob("*.safetensors")), "pt") as file:
            assert file.metadata() == {"format": form}
            assert {k: tuple(file.get_tensor(k).shape) for k in file.keys()} == {
                k: v.shape for k, v in weights_in(out / name).items()
            }


@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantized_folder_is_what_load_would_have_quantized(bits, tiny_folder, tmp_path):
    out = convert(tiny_folder, tmp_path / "out", "float32", quantize=bits)
    ours, theirs = mlxvid.load(str(out)), mlxvid.load(str(tiny_folder), quantize=bits)
    for name in ("text_encoder", "transformer", "vae"):
        one, two = (
            dict(tree_flatten(pipe.family.network(name).parameters())) for pipe in (ours, theirs)
        )
        assert same(one, two)
        assert any(key.endswith(".scales") for key in one) == (name != "vae")
        config = json.loads((out / name / "config.json").read_text())
        assert config.pop("quantization", None) == (
            None if name == "vae" else {"group_size": 64, "bits": bits}
        )
        assert config == json.loads((tiny_folder / name / "config.json").read_text())


@pytest.mark.parametrize(
    ("text", "expected"),
    [(["--quantize-text", "8"], 8), (["--quantize-text", "none"], None), ([], 4)],
)
def test_the_text_encoder_is_quantized_on_its_own(text, expected, tiny_folder, tmp_path):
    assert main([str(tiny_folder), "--out", str(tmp_path / "out"), "--quantize", "4", *text]) == 0
    config = {
        name: json.loads((tmp_path / "out" / name / "config.json").read_text())
        for name in ("transformer", "text_encoder")
    }
    assert config["transformer"]["quantization"]["bits"] == 4
    assert config["text_encoder"].get("quantization", {}).get("bits") == expected


def test_a_quantized_model_can_be_cast_but_not_quantized_again(tiny_folder, tmp_path):
    four = convert(tiny_folder, tmp_path / "four", "float32", quantize=4)
    with pytest.raises(mlxvid.SettingError) as error:
        convert(four, tmp_path / "out", quantize=8)
    assert (
        str(error.value)
        == f"{four}/text_encoder is quantized already; convert the model that it was made from."
    )
    half = convert(four, tmp_path / "out", "float16")
    assert {w.dtype for w in weights_in(half / "transformer").values()} == {mx.uint32, mx.float16}
    assert mlxvid.load(str(half)).generate("a red ball", seed=1).frames.shape == (9, 32, 32, 3)


def test_pytorchs_files_are_the_same_model(tiny_folder, tmp_path):
    source = shutil.copytree(tiny_folder, tmp_path / "source")
    for file in list(source.rglob("*.safetensors")):
        tensors = {
            name: torch.from_numpy(np.array(array)) for name, array in mx.load(str(file)).items()
        }
        names = sorted(tensors)
        stem = file.stem.replace("model", "pytorch_model") if file.stem == "model" else file.stem
        shards = {f"{stem}-0000{n + 1}-of-00002.bin": names[n::2] for n in range(2)}
        for shard, inside in shards.items():
            torch.save({name: tensors[name] for name in inside}, file.parent / shard)
        index = {"weight_map": {name: shard for shard, inside in shards.items() for name in inside}}
        (file.parent / f"{stem}.bin.index.json").write_text(json.dumps(index))
        file.unlink()
    out = convert(source, tmp_path / "out", "float32")
    assert bytes_in(out).keys() == bytes_in(tiny_folder).keys()
    assert all(
        same(weights_in(out / name), weights_in(tiny_folder / name))
        for name in ("vae", "text_encoder", "transformer")
    )


@pytest.mark.parametrize(("suffix", "by_row"), [("scale_weight", False), ("weight_scale", True)])
@pytest.mark.parametrize("fp8", ["float8_e4m3fn", "float8_e5m2"])
def test_scaled_fp8_weights_are_converted_on_the_way(fp8, suffix, by_row, tiny_folder, tmp_path):
    from safetensors.torch import save_file

    source = shutil.copytree(tiny_folder, tmp_path / "source")
    file = next((source / "transformer").glob("*.safetensors"))
    stored, expected = {"scaled_fp8": torch.empty(0, dtype=getattr(torch, fp8))}, {}
    for name, array in mx.load(str(file)).items():
        weight = torch.from_numpy(np.array(array))
        if weight.ndim == 2 and name.endswith(".weight"):
            scale = (
                weight.abs().amax(1, keepdim=True) / 400 if by_row else weight.abs().amax() / 400
            )
            stored[name] = (weight / scale).to(getattr(torch, fp8))
            stored[f"{name.removesuffix('weight')}{suffix}"] = scale
            stored[f"{name.removesuffix('weight')}scale_input"] = torch.ones(1)
            expected[name] = stored[name].to(torch.float32) * scale
        else:
            stored[name] = expected[name] = weight
    save_file(stored, file)
    out = convert(source, tmp_path / "out", "float32")
    assert same(
        weights_in(out / "transformer"),
        {name: mx.array(weight.numpy()) for name, weight in expected.items()},
    )


def test_scales_without_their_weight_are_refused(tiny_folder, tmp_path):
    source = shutil.copytree(tiny_folder, tmp_path / "source")
    file = next((source / "transformer").glob("*.safetensors"))
    weights = mx.load(str(file))
    mx.save_safetensors(str(file), {**weights, "patch_embed.scale_weight": mx.array(0.5)})
    with pytest.raises(mlxvid.WeightsError) as error:
        convert(source, tmp_path / "out")
    assert (
        str(error.value)
        == f"patch_embed.scale_weight in {file} scales no FP8 weight, so it can't be read; get the model in 16 or 32 bits."
    )


# --- where from and where to ----------------------------------------------------------------------


def test_a_model_is_replaced_but_nothing_else_is(tiny_folder, tmp_path):
    out = convert(tiny_folder, tmp_path / "out", "float16")
    assert convert(tiny_folder, out, "float32") == out
    assert next(iter(weights_in(out / "vae").values())).dtype == mx.float32
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear")
    for taken in (tmp_path / "mine", tmp_path / "mine" / "diary.txt"):
        with pytest.raises(mlxvid.MediaError) as error:
            convert(tiny_folder, taken, "float16")
        assert (
            str(error.value) == f"{taken} holds something that is no model; choose another folder."
        )
    assert (tmp_path / "mine" / "diary.txt").read_text() == "dear"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out"]


def test_source_and_destination_must_be_apart(tiny_folder, tmp_path):
    source = shutil.copytree(tiny_folder, tmp_path / "models" / "source")
    for out in (source, source / "out", source / ".." / "source", tmp_path / "models"):
        with pytest.raises(mlxvid.SettingError) as error:
            convert(source, out)
        assert (
            str(error.value)
            == f"{out.resolve()} and the model to convert overlap; choose a folder outside of it."
        )
    assert bytes_in(source) == bytes_in(tiny_folder)


def test_a_hub_repository_is_downloaded_with_pytorchs_files_too(tiny_folder, tmp_path, monkeypatch):
    download = create_autospec(hub.download, return_value=tiny_folder)
    monkeypatch.setattr(hub, "download", download)
    assert main(["someone/video", "--out", str(tmp_path / "out"), "--revision", "abc"]) == 0
    repo, revision, patterns, watch = download.call_args.args
    assert (repo, revision) == ("someone/video", "abc") and isinstance(watch, Watch)
    assert {"*.json", "*.safetensors", "*.model", "*.bin", "*.pth", "*.pt"} <= set(patterns)
    assert (tmp_path / "out" / "model_index.json").is_file()


def test_a_name_of_the_catalog_is_a_source(tmp_path):
    out = convert("mini", tmp_path / "out", "float16")
    assert mlxvid.load(str(out)).generate("a red ball", seed=1, steps=1, frames=1).frames.shape == (
        1,
        96,
        96,
        3,
    )


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["nowhere", "--out", "x"],
            "nowhere is neither a folder here nor a hub repository (owner/name); check the spelling.",
        ),
        (
            ["{tiny}/vae/config.json", "--out", "x"],
            "{tiny}/vae/config.json is a file; give the folder of the whole model.",
        ),
        (
            ["{tiny}", "--out", "x", "--dtype", "int3"],
            "There is no dtype 'int3'; use one of: float32, bfloat16, float16.",
        ),
        (
            ["{tiny}"],
            "The following arguments are required: --out; python -m mlxvid.convert --help lists the flags.",
        ),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(
    arguments, sentence, tiny_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main([a.format(tiny=tiny_folder) for a in arguments]) == 2
    assert capsys.readouterr().err == sentence.format(tiny=tiny_folder) + "\n"
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "value"), [("quantize", 3), ("quantize", True), ("quantize_text", 5)]
)
def test_bits_that_no_weight_has(name, value, tiny_folder, tmp_path):
    with pytest.raises(mlxvid.SettingError) as error:
        convert(tiny_folder, tmp_path / "out", **{name: value})
    assert str(error.value) == f"Quantization is to 4 or 8 bits, not {value!r}."


def test_the_command_says_what_it_found_and_prints_where(tiny_folder, tmp_path, capsys):
    assert main([str(tiny_folder), "--out", str(tmp_path / "out"), "--dtype", "float16"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{tmp_path / 'out'}\n"
    assert (
        "Recognised: a Diffusers folder (FactoredPipeline)." in said.err and "convert" in said.err
    )


def test_progress_as_json_lines(tiny_folder, tmp_path, capsys):
    assert main([str(tiny_folder), "--out", str(tmp_path / "out"), "--progress", "json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0] == {
        "event": "note",
        "text": "Recognised: a Diffusers folder (FactoredPipeline).",
    }
    steps = [event for event in events if event["event"] == "progress"]
    assert {event["stage"] for event in steps} == {"convert"}
    assert (
        steps[0]["step"] == 0
        and steps[-1]["step"] == steps[-1]["total"] >= 1
        and steps[-1]["remaining"] == 0
    )
    assert events[-1].pop("seconds") > 0 and events[-1] == {
        "event": "converted",
        "path": str(tmp_path / "out"),
    }


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    text = capsys.readouterr().out
    assert (
        ended.value.code == 0
        and "python -m mlxvid.convert Wan-AI/Wan2.1-T2V-1.3B --out" in text
        and "--quantize-text" in text
    )


# --- broken off -----------------------------------------------------------------------------------

CHILD = """
import os, signal, sys
from mlxvid.convert import convert
calls, at = 0, int(sys.argv[3])
def counted(function):
    def call(*arguments):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)
    return call
os.fsync, os.replace = counted(os.fsync), counted(os.replace)
convert(sys.argv[1], sys.argv[2], "float16", shard_bytes=20_000)
print(calls)
"""


def child(source: Path, out: Path, at: int) -> subprocess.CompletedProcess:
    """Convert in a process that is killed before its `at`-th step: a file is flushed, gets its
    name, is noted; the folder moves.
    """
    return subprocess.run(
        [sys.executable, "-c", CHILD, source, out, str(at)],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "moment", ["before the first file", "in the middle", "between the old model and the new"]
)
def test_killed_it_leaves_nothing_and_goes_on_when_run_again(moment, tiny_folder, tmp_path, caplog):
    whole = convert(tiny_folder, tmp_path / "whole", "float16", shard_bytes=SHARD_BYTES)
    out, work = tmp_path / "out", tmp_path / ".converting-out"
    files = len(list(whole.rglob("*.safetensors")))
    if moment == "between the old model and the new":
        convert(tiny_folder, out, "float32")
    at = {
        "before the first file": 1,
        "in the middle": 8,
        "between the old model and the new": 3 * files + 2,
    }[moment]
    assert child(tiny_folder, out, at).returncode == -signal.SIGKILL
    assert not out.exists() and work.is_dir()
    finished = {
        path: path.stat() for path in work.rglob("*.safetensors") if "old" not in path.parts
    }
    assert len(finished) == {1: 0, 8: 2}.get(at, files)
    if moment == "between the old model and the new":
        shutil.copytree(tiny_folder, out)  # as if another had been put there in the meantime
    caplog.set_level("INFO", "mlxvid")
    convert(tiny_folder, out, "float16", shard_bytes=SHARD_BYTES)
    assert bytes_in(out) == bytes_in(whole) and not work.exists()
    kept = {
        (path.name, path.stat().st_ino, path.stat().st_mtime_ns)
        for path in out.rglob("*.safetensors")
    }
    assert {(path.name, stat.st_ino, stat.st_mtime_ns) for path, stat in finished.items()} <= kept
    went_on = f"Going on with an earlier run: {len(finished)} of {files} weight files are there."
    assert (went_on in caplog.messages) == bool(finished)


def stop_after(files: int):
    """A progress callback that interrupts, as Ctrl-C does, once so many files are finished."""
    seen = []

    def on_progress(progress):
        seen.append(progress)
        if len(seen) == files + 1:
            raise KeyboardInterrupt

    return on_progress


@pytest.mark.parametrize("change", ["source", "options"])
def test_the_work_of_another_conversion_is_not_used(change, tiny_folder, tmp_path, caplog):
    source, out = shutil.copytree(tiny_folder, tmp_path / "source"), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        convert(source, out, "float16", shard_bytes=SHARD_BYTES, on_progress=stop_after(3))
    assert len(list(tmp_path.glob(".converting-out/model/*/*.safetensors"))) == 3
    if change == "source":
        file = next((source / "vae").glob("*.safetensors"))
        os.utime(file, ns=(time.time_ns(), time.time_ns()))
    dtype = "float16" if change == "source" else "float32"
    caplog.set_level("INFO", "mlxvid")
    convert(source, out, dtype, shard_bytes=SHARD_BYTES)
    assert not any("earlier run" in line for line in caplog.messages)
    assert {w.dtype for w in weights_in(out / "text_encoder").values()} == {getattr(mx, dtype)}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_stopped_before_a_file_is_finished_nothing_stays(tiny_folder, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        convert(tiny_folder, tmp_path / "out", on_progress=stop_after(0))
    assert not any(tmp_path.iterdir())
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(mlxvid.CancelledError, match=r"^Stopped; nothing was written\.$"):
        convert(tiny_folder, tmp_path / "out", cancel=cancelled)
    assert not any(tmp_path.iterdir())


def test_ctrl_c_ends_the_command_in_one_sentence(tiny_folder, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    assert main([str(tiny_folder), "--out", str(tmp_path / "out"), "--progress", "none"]) == 130
    sentence = "Stopped; run it again and it goes on after the last weight file that was finished."
    assert capsys.readouterr().err.splitlines()[-1] == sentence
    assert not any(tmp_path.iterdir())


def test_two_conversions_do_not_mix(tiny_folder, tmp_path):
    (tmp_path / ".converting-out").mkdir()
    with open(tmp_path / ".converting-out" / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(mlxvid.MediaError) as error:
            convert(tiny_folder, tmp_path / "out")
        assert (
            str(error.value)
            == f"Another conversion is writing {tmp_path / 'out'}; wait for its end, or choose another folder."
        )
    assert convert(tiny_folder, tmp_path / "out").is_dir()


# --- full and forbidden disks ---------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True
        ).returncode
    ):
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_disk_that_is_too_small_is_refused_before_beginning(tiny_folder, small_disk):
    (small_disk / "filler").write_bytes(bytes(900_000))
    with pytest.raises(mlxvid.MediaError) as error:
        convert(tiny_folder, small_disk / "out", "float32")
    needed = sum(
        w.nbytes
        for name in ("vae", "text_encoder", "transformer")
        for w in weights_in(tiny_folder / name).values()
    )
    sizes = f"needs {needed / 1e6:.1f} MB and its disk has 0.1 MB free"
    assert str(error.value) == f"{small_disk / 'out'} {sizes}; make room, or choose another disk."
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_a_disk_that_fills_up_on_the_way(tiny_folder, small_disk):
    def fill(progress):
        (small_disk / "filler").write_bytes(
            bytes(max(0, shutil.disk_usage(small_disk).free - 20_000))
        )

    with pytest.raises(mlxvid.MediaError) as error:
        convert(tiny_folder, small_disk / "out", "float16", on_progress=fill)
    sentence = "can't be written (No space left on device); check the folder and its free space."
    assert str(error.value) == f"{small_disk / 'out'} {sentence}"
    assert [path.name for path in small_disk.iterdir()] == ["filler"]
    (small_disk / "filler").unlink()
    assert convert(tiny_folder, small_disk / "out", "float16").is_dir()


def test_a_folder_that_can_not_be_made(tiny_folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(mlxvid.MediaError) as error:
        convert(tiny_folder, tmp_path / "file" / "out")
    assert (
        str(error.value)
        == f"{tmp_path / 'file' / 'out'} can't be written (Not a directory); check the folder and its free space."
    )
