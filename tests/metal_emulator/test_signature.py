"""The generated signature against MLX's own text, which an export prints on any platform."""

from __future__ import annotations

import random

import mlx.core as mx
import pytest

from .signature import ATTRIBUTES, TYPES, signature

NAMES = ["x", "x_shape", "xx", "inp", "a_strides", "y", "longer_name"]
FACTS = ["_shape", "_strides", "_ndim"]


def case(rng: random.Random) -> dict:
    """A random kernel.

    It has arrays around the 8-element limit, names that contain each other, and attributes in code
    and in comments.
    """
    names = rng.sample(NAMES, rng.randint(1, 4))
    kinds = list(TYPES)
    inputs = []
    for _ in names:
        shape = [rng.choice([1, 2, 3, 4]) for _ in range(rng.randint(0, 3))]
        inputs.append(mx.zeros(shape, rng.choice(kinds)))
    words = [rng.choice(names) + rng.choice(FACTS) for _ in range(rng.randint(0, 4))]
    words += rng.sample(list(ATTRIBUTES), rng.randint(0, 3))
    words.append(
        rng.choice(["// grid_size of threads", "foo_thread_position_in_grid;", "(void)0;"])
    )
    outputs = rng.sample(["out", "out_shape", "z"], rng.randint(1, 3))
    template = [("T", rng.choice(kinds)), ("N", rng.randint(-3, 300)), ("FLAG", rng.random() < 0.5)]
    rng.shuffle(words)
    return {
        "name": rng.choice(["k", "my_kernel"]),
        "input_names": names,
        "inputs": inputs,
        "output_names": outputs,
        "output_dtypes": [rng.choice(kinds) for _ in outputs],
        "source": "\n".join(words),
        "header": rng.choice(["", "#define A 1\n", "// x_shape thread_index_in_simdgroup"]),
        "template": rng.sample(template, rng.randint(0, 3)),
        "atomic_outputs": rng.random() < 0.2,
    }


@pytest.mark.parametrize("seed", range(4))
def test_text_equals_mlx_own(seed, tmp_path, capfd):
    rng = random.Random(seed)
    for _ in range(100):
        c = case(rng)

        def call(*inputs, c=c):
            kernel = mx.fast.metal_kernel(
                name=c["name"],
                input_names=c["input_names"],
                output_names=c["output_names"],
                source=c["source"],
                header=c["header"],
                atomic_outputs=c["atomic_outputs"],
            )
            return kernel(
                inputs=list(inputs),
                template=c["template"] or None,
                grid=(1, 1, 1),
                threadgroup=(1, 1, 1),
                output_shapes=[(3,)] * len(c["output_names"]),
                output_dtypes=c["output_dtypes"],
                verbose=True,
            )

        capfd.readouterr()
        mx.export_function(str(tmp_path / "kernel.mlxfn"), call, *c["inputs"])
        printed = capfd.readouterr().out
        expected = printed.split("```\n", 1)[1].rsplit("\n```", 1)[0]
        assert signature(**c).text == expected
