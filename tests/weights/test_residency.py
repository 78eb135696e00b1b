"""Which components stay in memory beside each other: what fits, with what a request holds."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import pytest
from mlx.utils import tree_flatten

from mlxvid.model.memory import RUNTIME_BYTES
from mlxvid.run import planning
from mlxvid.run.complete import complete

PROMPT = {"prompt": "a red ball", "seed": 1}


def room_for(pipe, *names: str) -> None:
    """As much memory as these components of a pipeline need together, and no more."""
    components = pipe.model.components
    held = planning.held_by(pipe.model.card, complete(pipe.model.card, PROMPT), "float32", None)
    weights = sum(components.sizes[name] for name in names)
    components.usable = RUNTIME_BYTES + weights + max(held.values())


@pytest.mark.parametrize(
    ("together", "previews"),
    [
        (("text_encoder", "transformer", "vae"), True),
        (("transformer", "vae"), True),
        (("text_encoder", "transformer"), False),
        (("transformer",), False),
    ],
)
def test_components_stay_together_where_they_fit(tiny_folder, together, previews):
    pipe = mlxvid.load(str(tiny_folder))
    components = pipe.model.components
    # A decoder as large as the denoiser, so that each pair counts.
    components.sizes.update(text_encoder=10**9, transformer=2 * 10**9, vae=2 * 10**9)
    room_for(pipe, *together)
    seen = []

    def on_progress(progress):
        if progress.stage == "denoise" and progress.step:
            seen.append(progress.preview() is not None)
            assert "transformer" in components._loaded

    pipe.generate(**PROMPT, on_progress=on_progress)
    assert set(seen) == {previews}
    assert components.fit(*components._loaded)
    if "vae" in together:
        assert components._loaded.keys() == set(together)


@pytest.mark.parametrize("settings", [{"frames": 129, "width": 64, "height": 64}, {}])
def test_what_the_request_holds_counts_for_what_stays(tiny_folder, settings):
    pipe = mlxvid.load(str(tiny_folder))
    room_for(pipe, "transformer", "vae")
    seen = []

    def on_progress(progress):
        if progress.stage == "denoise" and progress.step:
            seen.append(progress.preview() is not None)

    pipe.generate(**PROMPT, **settings, steps=1, on_progress=on_progress)
    assert seen == [not settings]


@pytest.mark.parametrize(("quantize", "dtype"), [(None, None), (4, None), (8, "float16")])
def test_the_sizes_that_count_are_those_in_memory(tiny_folder, quantize, dtype):
    components = mlxvid.load(str(tiny_folder), quantize=quantize, dtype=dtype).model.components
    for name, part in components._family.parts.items():
        network = components.network(name, part)
        held = sum(array.nbytes for _, array in tree_flatten(network.parameters()))
        # What can't be quantized in a network of a few channels is a large part of it.
        assert components.sizes[name] == pytest.approx(held, rel=0.75 if quantize else 0.01)
        assert not quantize or components.sizes[name] <= held
