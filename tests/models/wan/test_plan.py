"""Plans of Wan: large weights, that fit quantized, or one row at a time."""

from __future__ import annotations

from mlxvid.model.machine import GIB, Machine
from mlxvid.run.planning import plan


def mac(total: int, usable: float) -> Machine:
    return Machine("Mac", total * GIB, int(usable * GIB), metal=True)


def test_two_rows_go_one_after_the_other_where_there_is_no_room_for_both():
    """Weights of 26.6 GiB: beside them 27.2 GiB have room for 3120 tokens once, not twice."""
    large = mac(64, 0.8 * 64)
    once = plan("wan2.1-t2v-14b", frames=5, machine=mac(36, 27.2))
    both = plan("wan2.1-t2v-14b", frames=5, machine=large)
    unguided = plan("wan2.1-t2v-14b", frames=5, guidance=1, machine=large)
    assert once.fits
    assert once.stage_bytes["denoise"] == unguided.stage_bytes["denoise"]
    assert once.stage_bytes["denoise"] < both.stage_bytes["denoise"]


def test_weights_that_are_too_large_are_offered_with_fewer_bits():
    small = mac(16, 9)
    planned = plan("wan2.1-t2v-14b", machine=small)
    assert not planned.fits
    assert len(planned.alternatives) == 3
    for setting in planned.alternatives:
        size = {"frames": setting.frames, "width": setting.width, "height": setting.height}
        again = plan("wan2.1-t2v-14b", **size, quantize=4, machine=small)
        assert setting.quantize == 4
        assert again.fits
        assert again.peak_bytes == setting.peak_bytes


def test_the_small_model_fits_a_16_gb_mac_once_quantized():
    planned = plan("wan2.1-t2v-1.3b", machine=mac(16, 12), quantize=8)
    assert planned.fits
    assert planned.tokens == 32_760
    assert planned.weights["vae"] == {"float32": 4 * 126_892_531}
    assert "8-bit" in planned.weights["text_encoder"]


def test_the_image_encoder_stays_in_float32_when_the_rest_is_quantized():
    planned = plan("wan2.1-i2v-14b-480p", machine=mac(64, 48), quantize=4)
    assert planned.weights["image_encoder"].keys() == {"float32"}
    assert "4-bit" in planned.weights["transformer"]
