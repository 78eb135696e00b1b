"""Broken and hostile PyTorch checkpoints: refused in one sentence, and nothing in them is run."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import pytest

from tests.weights import crafted

BIN = "diffusion_pytorch_model.bin"
# Of what a refusal of foreign code says: that none was run, and what to get instead.
NOT_RUN = ("nothing of it was run", ".safetensors")
DAMAGED = (f"VAE/{BIN}", "damaged or cut short", "download")
BOTH_FORMS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


class Payload:
    """What a pickle calls when Python's own reader meets it."""

    def __init__(self, call, *arguments):
        self.call = call, arguments

    def __reduce__(self):
        return self.call


def weights_of(source: Path) -> Path:
    return source / "vae" / BIN


def write_checkpoint(path: Path, pickled: bytes, zipped: bool) -> None:
    if zipped:
        crafted.zip_file(path, pickled, {"0": bytes(16)})
    else:
        crafted.legacy_file(path, pickled, {"0": (4, bytes(16))})


@BOTH_FORMS
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_calls_os_system(protocol, zipped, source, refused, tmp_path):
    payload = Payload(os.system, f"touch {tmp_path / 'owned'}")
    write_checkpoint(weights_of(source), pickle.dumps({"a": payload}, protocol), zipped)
    refused(f"VAE/{BIN} holds {os.system.__module__}.system", *NOT_RUN)
    assert not (tmp_path / "owned").exists()


@BOTH_FORMS
def test_a_pickle_that_imports_an_unknown_class(zipped, source, refused):
    pickled = b"\x80\x02cmalware.\x1b[2Jsub\nPayload\n)\x81."
    write_checkpoint(weights_of(source), pickled, zipped)
    refused(f"VAE/{BIN} holds malware.?[2Jsub.Payload", *NOT_RUN)


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
    pickled = b"\x80\x02c" + name.replace(" ", "\n").encode() + b"\n."
    crafted.zip_file(weights_of(source), pickled, {})
    refused(f"VAE/{BIN} holds {name.replace(' ', '.')}", *NOT_RUN)


def test_an_operation_that_makes_objects(source, refused):
    crafted.zip_file(weights_of(source), b"\x80\x02ccollections\nOrderedDict\n)\x81.", {})
    refused(f"VAE/{BIN} holds", "NEWOBJ", *NOT_RUN)


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02",  # no end
        b"\x80\x02.",  # nothing on the stack
        b"\x80\x02h\x05.",  # a memory that was never written
        b"\x80\x02}(t}s.",  # a key that is no name
        b"\x80\x02ccollections\nOrderedDict\n(K\x01tR.",  # called otherwise than torch does
        b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"}(" + b"h\x00" * 3 + b"u.",
        b"\x80\x02\x8d" + (2**62).to_bytes(8, "little") + b"x.",  # a string longer than all disks
        bytes(1000),
    ],
)
def test_pickles_that_make_no_sense(pickled, source, refused):
    crafted.zip_file(weights_of(source), pickled, {})
    refused(*DAMAGED)


def test_a_deeply_nested_pickle(source, refused):
    crafted.zip_file(weights_of(source), b"\x80\x02" + b"(" * 1000 + b"t" * 1000 + b".", {})
    refused(f"VAE/{BIN} holds no table of tensors", "folder of a model")


@BOTH_FORMS
def test_a_pickle_without_end(zipped, source, refused, monkeypatch):
    monkeypatch.setattr("mlxvid.weights.unpickle.MAX_BYTES", 1000)
    monkeypatch.setattr("mlxvid.weights.torch_file.MAX_BYTES", 1000)
    write_checkpoint(weights_of(source), b"\x80\x02" + b"N" * 1000 + b".", zipped)
    refused(f"VAE/{BIN} has more than 1000 bytes of pickle", "download")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
@BOTH_FORMS
def test_a_checkpoint_cut_short(zipped, share, source, refused):
    write_checkpoint(weights_of(source), crafted.table(a=crafted.tensor()), zipped)
    data = weights_of(source).read_bytes()
    weights_of(source).write_bytes(data[: int(share * len(data))])
    if zipped or share > 0.05:
        refused(*DAMAGED)
    else:  # nothing that shows what it was is left
        refused(f"VAE/{BIN}", "neither", "PyTorch", "safetensors", "download")


BEYOND = "a in VAE/NAME reaches beyond its 16 bytes"
NO_VALUES = "a in VAE/NAME has no values"
NO_SUCH_SHAPE = "a in VAE/NAME has a shape, strides or offset"


@pytest.mark.parametrize(
    ("claims", "fact"),
    [
        ({"count": 1000}, "a in VAE/NAME claims 4000 bytes where the file has 16"),
        ({"shape": (5,)}, BEYOND),
        ({"shape": (2, 2), "strides": (3, 1)}, BEYOND),
        ({"offset": 1}, BEYOND),
        ({"shape": (10**6, 10**6), "strides": (0, 0)}, BEYOND),
        ({"shape": (2**40, 2**40), "strides": (0, 0)}, NO_SUCH_SHAPE),
        ({"shape": (0, 2**70), "strides": (1, 1)}, NO_SUCH_SHAPE),
        ({"strides": (-1,), "offset": 3}, NO_SUCH_SHAPE),
        ({"shape": (1,), "strides": (2**70,)}, NO_SUCH_SHAPE),
        ({"shape": (-4,)}, NO_SUCH_SHAPE),
        ({"offset": -1}, NO_SUCH_SHAPE),
        ({"shape": (4.0,)}, NO_SUCH_SHAPE),
        ({"shape": (1,) * 70, "strides": (1,) * 70}, NO_SUCH_SHAPE),
        ({"strides": (1, 1)}, NO_SUCH_SHAPE),
        ({"key": "7"}, NO_VALUES),
        ({"key": "../0"}, NO_VALUES),
        ({"count": -4}, "VAE/NAME is damaged"),
    ],
)
def test_tensors_that_claim_what_is_not_there(claims, fact, source, refused):
    pickled = crafted.table(a=crafted.tensor(**claims))
    crafted.zip_file(weights_of(source), pickled, {"0": bytes(16)})
    refused(fact.replace("NAME", BIN), "download")


def test_a_storage_of_a_foreign_type(source, refused):
    pickled = crafted.table(a=crafted.tensor(kind=b"ComplexFloatStorage"))
    crafted.zip_file(weights_of(source), pickled, {"0": bytes(16)})
    refused(f"VAE/{BIN} holds torch.ComplexFloatStorage", *NOT_RUN)


@pytest.mark.parametrize("count", [1000, 2**62, -1])
def test_a_legacy_storage_that_claims_more_than_the_file_has(count, source, refused):
    pickled = crafted.table(a=crafted.tensor(count=abs(count)))
    crafted.legacy_file(weights_of(source), pickled, {"0": (count, bytes(16))})
    refused(*DAMAGED)


def test_a_zip_bomb(source, refused):
    pickled = crafted.table(a=crafted.tensor(count=2**22, shape=(2**22,)))
    crafted.zip_file(weights_of(source), pickled, {"0": bytes(2**24)}, zipfile.ZIP_DEFLATED)
    assert weights_of(source).stat().st_size < 2**20
    refused(f"VAE/{BIN} is a compressed or encrypted zip file", "download")


def test_a_zip_of_something_else(source, refused):
    with zipfile.ZipFile(weights_of(source), "w") as archive:
        archive.writestr("holiday/beach.jpg", b"sea")
    refused(f"VAE/{BIN} is a zip file", "no checkpoint of PyTorch", "download")


def test_members_whose_places_are_wrong(source, refused):
    crafted.zip_file(weights_of(source), crafted.table(a=crafted.tensor()), {"0": bytes(16)})
    data = bytearray(weights_of(source).read_bytes())
    # The entry of the central directory, 46 bytes before its name, has the member's place at 42.
    entry = data.rindex(b"archive/data/0") - 46
    for place in (3, len(data) - 5, 2**31):
        data[entry + 42 : entry + 46] = place.to_bytes(4, "little")
        weights_of(source).write_bytes(data)
        refused(*DAMAGED)
