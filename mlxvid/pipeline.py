"""The one road: request -> text -> noise -> denoise -> decode -> clip, with progress, previews, cancellation and gates."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import mlx.core as mx
import numpy as np

from . import __version__, checks, keep
from .clip import Clip
from .errors import CancelledError, DegenerateClipError, DoesNotFitError, SettingError
from .request import Request, complete

log = logging.getLogger("mlxvid")

# With guidance the model runs for the prompt and for the negative prompt: in one batch where the tokens are few, since small
# matrices leave the device idle; in two passes beyond, since a batch would double the activations.
BATCHED_TOKENS = 8192


class Cancel(Protocol):
    """What stops a run: anything with ``is_set()``, such as ``threading.Event``."""

    def is_set(self) -> bool: ...


@dataclass
class Progress:
    """Where a run is. `stage`: load (of one component's weights, in MB), encode, denoise, decode or save (in frames);
    `step` of `total` are done in it; `elapsed`: seconds in it; `remaining`: seconds that are left at that rate, None before the
    first step is done."""

    stage: str
    step: int
    total: int
    elapsed: float
    remaining: float | None
    _preview: Callable[[], np.ndarray] | None = field(default=None, repr=False)

    def preview(self) -> np.ndarray | None:
        """The clip as it would be if denoising ended here, uint8 [F, H, W, 3]; None outside denoising, and for a model
        that is too large to keep its decoder beside the denoiser. Costs a decode, so ask seldom."""
        return self._preview() if self._preview else None


class Pipeline:
    """A loaded model. Made by :func:`mlxvid.load`."""

    def __init__(self, family, name: str, revision: str | None = None):
        self.family = family
        self.name = name
        self.revision = revision

    def generate(
        self,
        prompt: str,
        *,
        negative_prompt: str = "",
        width: int | None = None,
        height: int | None = None,
        frames: int | None = None,
        fps: float | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        seed: int | None = None,
        sampler: str | None = None,
        attention: str | None = None,
        image: Any = None,
        last_image: Any = None,
        keyframes: dict[int, Any] | None = None,
        latents: Any = None,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: Cancel | None = None,
    ) -> Clip:
        """Make a clip.

        negative_prompt: what the clip should not show; empty for the model's own, where it has one.
        width, height in pixels, frames, fps: rounded to what the model can make, and said on the logger "mlxvid".
        guidance: how strongly the prompt pulls (classifier-free guidance, arXiv:2207.12598); 1 is the model alone.
        seed: None draws one; it is in the clip's settings. sampler, attention: among the model's own.
        image, last_image, keyframes {frame: picture}: pictures (paths, PIL images or uint8 arrays) that those frames should show.
        latents: the initial noise [1, C, F, H, W] in float32 instead of a seed.
        on_progress(Progress) is called after each step; cancel.is_set() is asked as often and ends the run with :class:`CancelledError`.
        Raises :class:`SettingError`, :class:`MediaError`, :class:`WeightsError`, and :class:`DegenerateClipError` where the result is
        not finite or shows nothing: its last sound latents are then kept, at the error's `latents_path`. :class:`DoesNotFitError` where
        memory runs out.
        """
        request = complete(
            self.family, prompt, negative_prompt=negative_prompt, width=width, height=height, frames=frames, fps=fps, steps=steps,
            guidance=guidance, seed=seed, sampler=sampler, attention=attention, image=image, last_image=last_image, keyframes=keyframes,
        )  # fmt: skip
        advice = self.family.advice(prompt)
        if advice:
            log.warning(advice)
        watch = Watch(on_progress, cancel)
        noise = self._noise(request, latents)
        components = self.family.components
        loaded = {"model": self.name, "revision": self.revision, "quantize": components.quantize, "dtype": components.dtype}
        settings = {"mlxvid": __version__, **loaded, **request.settings()}
        if latents is not None:
            settings["latents"] = "given"
        try:
            result = self._denoise(request, noise, self._conditions(request, watch), watch, settings)
            mx.clear_cache()
            with keep.kept(result, settings):
                decoded = self._decode(result, watch)
        except RuntimeError as error:
            if not checks.is_out_of_memory(error):
                raise
            raise DoesNotFitError("The machine ran out of memory; make the clip smaller or shorter, or close other programs.") from error
        return Clip(decoded, request.fps, settings)

    def reconstruct(self, frames: np.ndarray) -> np.ndarray:
        """What the VAE alone makes of frames uint8 [1 + 4k, H, W, 3]: encoded and decoded again, uint8."""
        x = mx.array(frames).astype(mx.float32)[None] / 127.5 - 1
        return np.concatenate([to_uint8(part) for part in self.family.decode(self.family.vae.encode(x))])

    def _noise(self, request: Request, latents: Any) -> mx.array:
        """Latents [1, F, H, W, C] to begin with: the given ones, or float32 noise that depends on seed and shape alone."""
        geometry = self.family.geometry
        f, h, w = geometry.latent_shape(request.frames, request.width, request.height)
        shape = (1, geometry.channels, f, h, w)
        if latents is None:
            noise = mx.random.normal(shape, dtype=mx.float32, key=mx.random.key(request.seed))
        else:
            noise = mx.array(latents)
            if noise.shape != shape:
                raise SettingError(f"The latents are {tuple(noise.shape)} where this clip's are {shape} ([1, C, F, H, W]).")
        return noise.astype(mx.float32).transpose(0, 2, 3, 4, 1)

    def _conditions(self, request: Request, watch: Watch) -> list[dict[str, mx.array]]:
        """What the denoiser is told: one set for the prompt, and before it one for the negative prompt where guidance asks for it."""
        prompts = [request.prompt] if request.guidance == 1 else [request.negative_prompt, request.prompt]
        self.family.network("text_encoder", watch)
        watch.begin("encode", 1)
        text = self.family.encode_text(prompts)
        mx.eval(text)  # so that nothing holds the text encoder when the next component needs the room
        watch.done()
        if request.pictures:
            self.family.network("vae", watch)
        shape = self.family.geometry.latent_shape(request.frames, request.width, request.height)
        pictures = self.family.encode_pictures(request.pictures, shape)
        conditions = [{k: v[i : i + 1] for k, v in text.items()} | pictures for i in range(len(prompts))]
        mx.eval(conditions)
        return conditions

    def _denoise(self, request: Request, x: mx.array, conditions: list[dict[str, mx.array]], watch: Watch, settings: dict) -> mx.array:
        self.family.network("transformer", watch)
        velocity = self._velocity(request, conditions)
        scheduler = self.family.scheduler(request.sampler, request.steps)
        watch.begin("denoise", request.steps)
        noise = x
        for i in range(request.steps):
            latest: dict[str, mx.array] = {}

            def observed(x: mx.array, sigma: float, latest: dict[str, mx.array] = latest) -> mx.array:
                v = velocity(x, sigma)
                latest.setdefault("x", x)
                latest.setdefault("v", v)
                return v

            before, x = x, scheduler.step(observed, x, i)
            x = self.family.hold(x, noise, scheduler.sigmas[i + 1].item(), conditions[-1])
            try:
                checks.check_latents(x, f"after step {i + 1} of {request.steps}")
            except DegenerateClipError as error:
                path = keep.keep(before, {**settings, "steps_done": i})
                raise DegenerateClipError(str(error), str(path) if path else None) from None
            watch.done(self._preview(scheduler.clean(latest["x"], latest["v"], i)))
        return x

    def _preview(self, latents: mx.array) -> Callable[[], np.ndarray] | None:
        if not self.family.components.resident:
            return None
        return lambda: np.concatenate([to_uint8(part) for part in self.family.decode(latents)])

    def _velocity(self, request: Request, conditions: list[dict[str, mx.array]]) -> Callable[[mx.array, float], mx.array]:
        """The guided prediction for latents at a sigma."""
        predict, geometry = self.family.predict, self.family.geometry
        f, h, w = geometry.token_grid(request.frames, request.width, request.height)
        if len(conditions) == 2 and 2 * f * h * w <= BATCHED_TOKENS:
            both = {k: mx.concatenate([c[k] for c in conditions]) for k in conditions[0]}

            def pair(x: mx.array, sigma: float) -> list[mx.array]:
                return mx.split(predict(mx.concatenate([x, x]), sigma, both, request.attention), 2)
        else:

            def pair(x: mx.array, sigma: float) -> list[mx.array]:
                return [predict(x, sigma, condition, request.attention) for condition in conditions]

        def velocity(x: mx.array, sigma: float) -> mx.array:
            predictions = pair(x, sigma)
            without, with_prompt = predictions[0], predictions[-1]
            return without + request.guidance * (with_prompt - without) if len(predictions) == 2 else with_prompt

        return velocity

    def _decode(self, latents: mx.array, watch: Watch) -> np.ndarray:
        self.family.network("vae", watch)
        watch.begin("decode", self.family.geometry.pixel_frames(latents.shape[1]))
        parts = []
        for pixels in self.family.decode(latents):
            checks.check_pixels(pixels)
            parts.append(to_uint8(pixels))
            watch.done(count=len(pixels))
        frames = np.concatenate(parts)
        checks.check_frames(frames)
        return frames


class Watch:
    """Keeps the time, tells `on_progress`, and asks `cancel`."""

    def __init__(self, on_progress: Callable[[Progress], None] | None, cancel: Cancel | None):
        self._tell, self._cancel = on_progress, cancel

    def begin(self, stage: str, total: int) -> None:
        """A stage of `total` steps starts now."""
        self._stage, self._total, self._step, self._start = stage, total, 0, time.monotonic()
        self._report(None)

    def done(self, preview: Callable[[], np.ndarray] | None = None, count: int = 1) -> None:
        """`count` more steps are done."""
        self._step += count
        self._report(preview)

    def _report(self, preview: Callable[[], np.ndarray] | None) -> None:
        if self._tell:
            elapsed = time.monotonic() - self._start
            remaining = elapsed / self._step * (self._total - self._step) if self._step else None
            self._tell(Progress(self._stage, self._step, self._total, elapsed, remaining, preview))
        if self._cancel is not None and self._cancel.is_set():
            raise CancelledError("Stopped; nothing was written.")


def to_uint8(pixels: mx.array) -> np.ndarray:
    """Pixels in [-1, 1] (clipped) as uint8."""
    return np.array(mx.clip(mx.round(pixels * 127.5 + 127.5), 0, 255).astype(mx.uint8))
