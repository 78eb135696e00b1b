"""Broken and hostile sources: each is refused in one sentence, runs nothing, and leaves nothing
written.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.convert.__main__ import main
from mlxvid.model.facts import FAMILIES
from tests.weights import crafted

STEM = "diffusion_pytorch_model"
ADVICE = "nothing of it was run, so get the model from a source that you trust, as .safetensors if there is one."
AGAIN = "download the model again."


class Evil:
    """What a pickle calls when Python's own reader meets it."""

    def __init__(self, call, *arguments):
        self.call = call, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture
def source(tiny_folder, tmp_path):
    """A model whose VAE waits for weights."""
    folder = tmp_path / "source"
    shutil.copytree(tiny_folder, folder)
    (folder / "vae" / f"{STEM}.safetensors").rename(tmp_path / "sound.safetensors")
    return folder


@pytest.fixture
def sound(source, tmp_path):
    """The VAE's own weights."""
    return dict(mx.load(str(tmp_path / "sound.safetensors")))


@pytest.fixture
def refused(source, tmp_path, capsys):
    """Convert, and compare the one sentence that comes of it; VAE stands for the VAE's folder."""

    def check(sentence: str, *flags: str) -> None:
        before = sorted(tmp_path.rglob("*"))
        assert (
            main([str(source), "--out", str(tmp_path / "out"), "--progress", "none", *flags]) == 2
        )
        errors = capsys.readouterr().err.splitlines()
        assert (
            errors[-1].replace(str(source / "vae"), "VAE").replace(str(source), "SOURCE")
            == sentence
        )
        assert all(line.startswith("Recognised: ") for line in errors[:-1])
        assert sorted(tmp_path.rglob("*")) == before

    return check


def weights_of(source: Path) -> Path:
    return source / "vae" / f"{STEM}.bin"


def in_both_forms(path: Path, pickled: bytes, zipped: bool) -> None:
    if zipped:
        crafted.zip_file(path, pickled, {"0": bytes(16)})
    else:
        crafted.legacy_file(path, pickled, {"0": (4, bytes(16))})


BOTH = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


@BOTH
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_calls_os_system(protocol, zipped, source, refused, tmp_path):
    pickled = pickle.dumps({"a": Evil(os.system, f"touch {tmp_path / 'owned'}")}, protocol)
    in_both_forms(weights_of(source), pickled, zipped)
    refused(
        f"VAE/{STEM}.bin holds {os.system.__module__}.system, which is neither a tensor nor a plain container; {ADVICE}"
    )


@BOTH
def test_a_pickle_that_imports_an_unknown_class(zipped, source, refused):
    in_both_forms(weights_of(source), b"\x80\x02cmalware.\x1b[2Jsub\nPayload\n)\x81.", zipped)
    refused(
        f"VAE/{STEM}.bin holds malware.?[2Jsub.Payload, which is neither a tensor nor a plain container; {ADVICE}"
    )


@pytest.mark.parametrize(
    "name",
    [
        "builtins eval",
        "torch load",
        "torch.hub load",
        "torch._utils _rebuild_wrapper_subclass",
        "torch.nn Module",
    ],
)
def test_torchs_own_functions_are_as_foreign(name, source, refused):
    crafted.zip_file(
        weights_of(source), b"\x80\x02c" + name.replace(" ", "\n").encode() + b"\n.", {}
    )
    refused(
        f"VAE/{STEM}.bin holds {name.replace(' ', '.')}, which is neither a tensor nor a plain container; {ADVICE}"
    )


def test_an_operation_that_makes_objects(source, refused):
    crafted.zip_file(weights_of(source), b"\x80\x02ccollections\nOrderedDict\n)\x81.", {})
    refused(f"VAE/{STEM}.bin holds the pickle operation NEWOBJ, which no weights need; {ADVICE}")


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02",  # no end
        b"\x80\x02.",  # nothing on the stack
        b"\x80\x02h\x05.",  # a memory that was never written
        b"\x80\x02}(t}s.",  # a key that is no name
        b"\x80\x02ccollections\nOrderedDict\n(K\x01tR.",  # called otherwise than torch does
        b"\x80\x02" + b"(" * 1000 + b"t" * 1000 + b".",  # deep
        b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"}(" + b"h\x00" * 3 + b"u.",
        b"\x80\x02\x8d" + (2**62).to_bytes(8, "little") + b"x.",  # a string longer than all disks
        bytes(1000),
    ],
)
def test_pickles_that_make_no_sense(pickled, source, refused):
    crafted.zip_file(weights_of(source), pickled, {})
    deep = pickled.startswith(b"\x80\x02((")
    refused(
        f"VAE/{STEM}.bin holds no table of tensors, so it is no model's weights; give the folder of a model."
        if deep
        else f"VAE/{STEM}.bin is damaged or cut short; {AGAIN}"
    )


@BOTH
def test_a_pickle_without_end(zipped, source, refused, monkeypatch):
    monkeypatch.setattr("mlxvid.weights.unpickle.MAX_BYTES", 1000)
    monkeypatch.setattr("mlxvid.weights.torch_file.MAX_BYTES", 1000)
    in_both_forms(weights_of(source), b"\x80\x02" + b"N" * 1000 + b".", zipped)
    refused(
        f"VAE/{STEM}.bin has more than 1000 bytes of pickle, as no table of weights has; {AGAIN}"
    )


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
@BOTH
def test_a_checkpoint_cut_short(zipped, share, source, refused):
    in_both_forms(weights_of(source), crafted.table(a=crafted.tensor()), zipped)
    data = weights_of(source).read_bytes()
    weights_of(source).write_bytes(data[: int(share * len(data))])
    known = zipped or share > 0.05
    what = (
        "is damaged or cut short" if known else "is neither a checkpoint of PyTorch nor safetensors"
    )
    refused(f"VAE/{STEM}.bin {what}; {AGAIN}")


BEYOND, NOWHERE = (
    "a in VAE/NAME reaches beyond its 16 bytes in the file; AGAIN",
    "a in VAE/NAME has no values in the file; AGAIN",
)
NONE_SUCH = "a in VAE/NAME has a shape, strides or offset that no tensor has; AGAIN"


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ({"count": 1000}, "a in VAE/NAME claims 4000 bytes where the file has 16; AGAIN"),
        ({"shape": (5,)}, BEYOND),
        ({"shape": (2, 2), "strides": (3, 1)}, BEYOND),
        ({"offset": 1}, BEYOND),
        ({"shape": (10**6, 10**6), "strides": (0, 0)}, BEYOND),
        ({"shape": (2**40, 2**40), "strides": (0, 0)}, NONE_SUCH),
        ({"shape": (0, 2**70), "strides": (1, 1)}, NONE_SUCH),
        ({"strides": (-1,), "offset": 3}, NONE_SUCH),
        ({"shape": (1,), "strides": (2**70,)}, NONE_SUCH),
        ({"shape": (-4,)}, NONE_SUCH),
        ({"offset": -1}, NONE_SUCH),
        ({"shape": (4.0,)}, NONE_SUCH),
        ({"shape": (1,) * 70, "strides": (1,) * 70}, NONE_SUCH),
        ({"strides": (1, 1)}, NONE_SUCH),
        ({"key": "7"}, NOWHERE),
        ({"key": "../0"}, NOWHERE),
        ({"count": -4}, "VAE/NAME is damaged or cut short; AGAIN"),
        (
            {"kind": b"ComplexFloatStorage"},
            f"VAE/NAME holds torch.ComplexFloatStorage, which is neither a tensor nor a plain container; {ADVICE}",
        ),
    ],
)
def test_tensors_that_claim_what_is_not_there(claims, sentence, source, refused):
    crafted.zip_file(
        weights_of(source), crafted.table(a=crafted.tensor(**claims)), {"0": bytes(16)}
    )
    refused(sentence.replace("NAME", f"{STEM}.bin").replace("AGAIN", AGAIN))


def test_a_legacy_storage_that_claims_more_than_the_file_has(source, refused):
    for count in (1000, 2**62, -1):
        crafted.legacy_file(
            weights_of(source),
            crafted.table(a=crafted.tensor(count=abs(count))),
            {"0": (count, bytes(16))},
        )
        refused(f"VAE/{STEM}.bin is damaged or cut short; {AGAIN}")


def test_a_zip_bomb_and_a_zip_of_something_else(source, refused):
    pickled = crafted.table(a=crafted.tensor(count=2**22, shape=(2**22,)))
    crafted.zip_file(weights_of(source), pickled, {"0": bytes(2**24)}, zipfile.ZIP_DEFLATED)
    assert weights_of(source).stat().st_size < 2**20
    refused(
        f"VAE/{STEM}.bin is a compressed or encrypted zip file, as PyTorch writes none; {AGAIN}"
    )
    with zipfile.ZipFile(weights_of(source), "w") as archive:
        archive.writestr("holiday/beach.jpg", b"sea")
    refused(f"VAE/{STEM}.bin is a zip file but no checkpoint of PyTorch; {AGAIN}")


def test_members_whose_places_are_wrong(source, refused):
    crafted.zip_file(weights_of(source), crafted.table(a=crafted.tensor()), {"0": bytes(16)})
    data = bytearray(weights_of(source).read_bytes())
    entry = (
        data.rindex(b"archive/data/0") - 46
    )  # of the central directory; at 42 is where the member stands
    for place in (3, len(data) - 5, 2**31):
        data[entry + 42 : entry + 46] = place.to_bytes(4, "little")
        weights_of(source).write_bytes(data)
        refused(f"VAE/{STEM}.bin is damaged or cut short; {AGAIN}")


DAMAGED, SHORT = (
    "FILE is damaged or cut short; AGAIN",
    "a in FILE claims 16 bytes where the file has 8; AGAIN",
)


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@pytest.mark.parametrize(
    ("header", "length", "sentence"),
    [
        (
            {},
            2**63,
            "FILE says that its header has 9223372036854775808 bytes, more than it can have; AGAIN",
        ),
        (
            {},
            99_000_000,
            "FILE says that its header has 99000000 bytes, more than it can have; AGAIN",
        ),
        (b"version https://git-lfs.github.com/spec/v1", 8, DAMAGED),
        (b"[" * 100_000, None, DAMAGED),
        (b"[]", None, DAMAGED),
        ({"a": 3}, None, DAMAGED),
        (entry(offsets=[0, "8"]), None, DAMAGED),
        (entry(shape=[-2]), None, DAMAGED),
        (entry(shape=[4], offsets=[0, 16]), None, SHORT),
        (entry(shape=[4]), None, SHORT),
        (entry(shape=[2**20] * 9), None, "a in FILE has a shape that no tensor has; AGAIN"),
        (
            entry("F4"),
            None,
            "a in FILE is of the type F4, which mlxvid can't read; get the model in 16 or 32 bits.",
        ),
        (
            entry([]),
            None,
            "a in FILE is of the type [], which mlxvid can't read; get the model in 16 or 32 bits.",
        ),
    ],
)
def test_safetensors_that_lie(header, length, sentence, source, refused):
    crafted.safetensors_file(source / "vae" / f"{STEM}.safetensors", header, bytes(8), length)
    refused(sentence.replace("FILE", f"VAE/{STEM}.safetensors").replace("AGAIN", AGAIN))


@pytest.mark.parametrize(
    "name", ["../../secret.safetensors", "/etc/passwd", "..", "part.txt", "", 3]
)
def test_an_index_that_points_outside_its_folder(name, source, refused):
    (source / "vae" / f"{STEM}.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": name}})
    )
    refused(f"VAE/{STEM}.safetensors.index.json names a shard outside its folder, or none; {AGAIN}")


def test_shards_missing_alone_or_twice_the_same(source, sound, refused):
    names = [f"{STEM}-0000{n}-of-00002.safetensors" for n in (1, 2)]
    mx.save_safetensors(str(source / "vae" / names[0]), sound)
    refused(
        f"VAE/{names[0]} is a part of something whose .index.json is missing or does not name it; {AGAIN}"
    )
    index = source / "vae" / f"{STEM}.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": names[0], "b": names[1]}}))
    refused(f"VAE/{names[1]} is missing, and {index.name} names it; {AGAIN}")
    first = next(iter(sound))
    mx.save_safetensors(str(source / "vae" / names[1]), {first: sound[first]})
    refused(f"{first} in VAE/{names[0]} is in {names[1]} too; {AGAIN}")


def test_tensors_that_fit_no_network(source, sound, refused):
    target = str(source / "vae" / f"{STEM}.safetensors")
    name = "encoder.conv_in.bias"
    mx.save_safetensors(target, {**sound, name: mx.zeros((3,))})
    wanted = tuple(sound[name].shape)
    refused(
        f"{name} in VAE is (3,) where {wanted} is needed; its config.json belongs to other weights."
    )
    mx.save_safetensors(target, {k: v for k, v in sound.items() if k != name})
    refused(f"The checkpoint in VAE lacks {name}; it was made for another architecture or version.")
    mx.save_safetensors(target, {**sound, "trojan": mx.zeros((3,))})
    refused(
        "mlxvid's model of VAE has no place for trojan; it was made for another architecture or version."
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(value, source, sound, refused):
    target = str(source / "vae" / f"{STEM}.safetensors")
    name = max(sound)
    broken = np.array(sound[name])
    broken.flat[-1] = value
    mx.save_safetensors(target, {**sound, name: mx.array(broken)})
    refused(
        f"{name} in VAE/{STEM}.safetensors holds NaN or infinity, which no sound weights do; {AGAIN}"
    )


def test_weights_beyond_float16(source, sound, refused):
    name = max(sound)
    mx.save_safetensors(
        str(source / "vae" / f"{STEM}.safetensors"),
        {**sound, name: mx.full(sound[name].shape, 1e5)},
    )
    refused(
        f"{name} in VAE/{STEM}.safetensors holds numbers beyond float16's 65504; use --dtype bfloat16.",
        "--dtype",
        "float16",
    )


def test_a_network_that_the_family_does_not_know(source, sound, refused):
    mx.save_safetensors(str(source / "vae" / f"{STEM}.safetensors"), sound)
    shutil.copytree(source / "transformer", source / "transformer_2")
    index = json.loads((source / "model_index.json").read_text())
    (source / "model_index.json").write_text(
        json.dumps(index | {"transformer_2": ["mlxvid", "FactoredTransformer"]})
    )
    refused(
        "SOURCE/transformer_2 belongs to a model that mlxvid's FactoredPipeline is not; it was made for another version."
    )


def test_a_part_without_weights_and_a_folder_without_a_model(source, refused):
    refused(f"VAE has no weights; {AGAIN}")
    (source / "model_index.json").write_text('{"_class_name": "SorcererPipeline"}')
    refused(
        f"SOURCE holds a SorcererPipeline, which mlxvid can't run; it runs: {', '.join(FAMILIES)}."
    )
    (source / "model_index.json").unlink()
    refused(
        "SOURCE holds weights that belong to no model mlxvid knows; "
        "give the folder of a whole model, in the Diffusers layout or as released."
    )
    shutil.rmtree(source)
    source.mkdir()
    refused(
        "SOURCE holds neither weights nor a model_index.json; give the folder of a whole model, in the Diffusers layout or as released."
    )
