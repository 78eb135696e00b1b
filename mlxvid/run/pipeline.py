"""The one road: request -> text -> noise -> denoise -> decode -> clip, with progress, previews,
cancellation, resume and gates.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from mlxvid import __version__
from mlxvid.errors import (
    CancelledError,
    DegenerateClipError,
    DoesNotFitError,
    SettingError,
    WeightsError,
)
from mlxvid.media.clip import Clip
from mlxvid.model.facts import family_of
from mlxvid.model.memory import in_one_batch, this_machine
from mlxvid.progress import STOPPED, Cancel, Progress, Watch

from . import checkpoint as keep
from . import checks
from .request import Request, complete

log = logging.getLogger("mlxvid")

Velocity = Callable[[mx.array, float], mx.array]
SMALLER = ("make the clip smaller or shorter", "close other programs")
STOPPED_MIDWAY = "Stopped; what is done so far is kept, and --resume goes on from there."


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
        shift: float | None = None,
        image: Any = None,
        last_image: Any = None,
        keyframes: dict[int, Any] | None = None,
        extend: Any = None,
        join: Any = None,
        resolution: str | None = None,
        aspect: str | None = None,
        options: Mapping[str, float | str] | None = None,
        latents: Any = None,
        resume: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: Cancel | None = None,
    ) -> Clip:
        """Make a clip.

        negative_prompt: what the clip should not show; empty for the model's own, where it has one.
        width, height in pixels, frames, fps: rounded to what the model can make, and said on the
        logger "mlxvid". guidance: how strongly the prompt pulls (classifier-free guidance,
        arXiv:2207.12598); 1 is the model alone. seed: None draws one; it is in the clip's settings.
        sampler, attention: among the model's own. shift: of the noise schedule towards noise
        (arXiv:2403.03206), where the model has one; more gives the clip's outlines more of the
        steps. image, last_image, keyframes {frame: picture}: pictures (paths, PIL images or uint8
        arrays) that those frames should show. extend, join: a clip (a path, a Clip or uint8 [F, H,
        W, 3]) whose last frames this one begins with, or whose first it ends with. resolution,
        aspect: names such as "480p" and "16:9", in place of width and height. options:
        :mod:`mlxvid.model.options` lists them. latents: the initial noise [1, C, F, H, W] in
        float32 instead of a seed. resume: go on where a run with these very settings (its seed
        among them) was interrupted, and end with the same clip, bit for bit; from the beginning,
        which is logged, where none was. on_progress(Progress) is called after each step;
        cancel.is_set() is asked as often and ends the run with :class:`CancelledError`. Raises
        :class:`SettingError`, :class:`MediaError`, :class:`WeightsError`, and
        :class:`DegenerateClipError` where the result is not finite or shows nothing: its last sound
        latents are then kept, at the error's `latents_path`. :class:`DoesNotFitError` where memory
        runs out.
        """
        request = complete(
            self.family,
            prompt,
            negative_prompt=negative_prompt,
            width=width,
            height=height,
            frames=frames,
            fps=fps,
            steps=steps,
            guidance=guidance,
            seed=seed,
            sampler=sampler,
            attention=attention,
            shift=shift,
            image=image,
            last_image=last_image,
            keyframes=keyframes,
            extend=extend,
            join=join,
            resolution=resolution,
            aspect=aspect,
            options=options,
        )
        advice = self.family.advice(prompt)
        if advice:
            log.warning(advice)
        watch = Watch(on_progress, cancel)
        noise = self._noise(request, latents)
        settings = {"mlxvid": __version__, **self.loaded, **request.settings()}
        if latents is not None:
            settings["latents"] = "given"
        checkpoint = keep.Checkpoint(settings, [np.array(noise), *request.pictures.values()])
        if not resume:
            checkpoint.remove()
        elif not checkpoint.exists:
            log.warning(
                "There is no interrupted run with these settings, so this one starts at the beginning."
            )
        try:
            conditions = self._conditions(request, watch)
            result = self._denoise(request, noise, conditions, watch, checkpoint, settings)
        except (CancelledError, KeyboardInterrupt) as stop:
            raise type(stop)(STOPPED_MIDWAY if checkpoint.exists else STOPPED) from None
        except RuntimeError as error:
            remedy = (
                f"{SMALLER[1]}, and --resume goes on with the run"
                if checkpoint.exists
                else " or ".join(SMALLER)
            )
            raise _told(error, remedy) from error
        kept = keep.keep(result, settings)
        if kept.path:
            checkpoint.remove()
        clip = self._decoded(result, request.fps, settings, watch, kept)
        checkpoint.remove()
        return clip

    @property
    def loaded(self) -> dict[str, Any]:
        """What :func:`mlxvid.load` was told, as far as clips depend on it: the model's part of a
        clip's settings.
        """
        components = self.family.components
        loaded = {
            "model": self.name,
            "revision": self.revision,
            "quantize": components.quantize,
            "dtype": components.dtype,
        }
        return (
            {**loaded, "loras": [str(lora) for lora in components.loras]}
            if components.loras
            else loaded
        )

    def decode_saved(
        self,
        path: str | os.PathLike,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: Cancel | None = None,
    ) -> Clip:
        """The clip of a run that failed while its latents were being decoded or saved: `path` is
        the file that it kept.

        Raises :class:`MediaError` for a file that holds no kept latents and :class:`WeightsError`
        for those of another model.
        """
        latents, settings = keep.read_latents(path)
        geometry = self.family.geometry
        if latents.shape[-1] != geometry.channels:
            raise WeightsError(
                f"The latents in {path} were made by {settings.get('model')}; load that model to decode them."
            )
        fps = settings.get("fps", self.family.defaults.fps)
        return self._decoded(
            latents, fps, settings, Watch(on_progress, cancel), keep.Kept(Path(path))
        )

    def _decoded(
        self, latents: mx.array, fps: float, settings: dict, watch: Watch, kept: keep.Kept
    ) -> Clip:
        """The clip, whose latents are in the file `kept` until it is saved or let go."""
        mx.clear_cache()
        try:
            return Clip(self._decode(latents, watch), fps, settings, kept.until_saved())
        except (CancelledError, KeyboardInterrupt) as stop:
            raise type(stop)(
                f"Stopped; --decode-only {kept.path} makes the clip of what is done."
                if kept.path
                else STOPPED
            ) from None
        except DegenerateClipError as error:
            raise DegenerateClipError(str(error), kept.leave()) from None
        except RuntimeError as error:
            raise _told(
                error,
                f"{SMALLER[1]}, and --decode-only {kept.path} ends the run"
                if kept.path
                else " or ".join(SMALLER),
            ) from error

    def reconstruct(self, frames: np.ndarray) -> np.ndarray:
        """What the VAE alone makes of frames uint8 [1 + 4k, H, W, 3]: encoded and decoded again,
        uint8.
        """
        x = mx.array(frames).astype(mx.float32)[None] / 127.5 - 1
        return np.concatenate(
            [to_uint8(part) for part in self.family.decode(self.family.network("vae").encode(x))]
        )

    def _noise(self, request: Request, latents: Any) -> mx.array:
        """Latents [1, F, H, W, C] to begin with: the given ones, or float32 noise that depends on
        seed and shape alone.
        """
        geometry = self.family.geometry
        f, h, w = geometry.latent_shape(request.frames, request.width, request.height)
        shape = (1, geometry.channels, f, h, w)
        if latents is None:
            noise = mx.random.normal(shape, dtype=mx.float32, key=mx.random.key(request.seed))
        else:
            noise = mx.array(latents)
            if noise.shape != shape:
                raise SettingError(
                    f"The latents are {tuple(noise.shape)} where this clip's are {shape} ([1, C, F, H, W])."
                )
        return noise.astype(mx.float32).transpose(0, 2, 3, 4, 1)

    def _conditions(self, request: Request, watch: Watch) -> list[dict[str, mx.array]]:
        """What the denoiser is told: one set for the prompt, and before it one for the negative
        prompt where guidance asks for it.
        """
        prompt = self.family.prompt(request)
        prompts = [prompt] if request.guidance == 1 else [request.negative_prompt, prompt]
        self.family.network("text_encoder", watch)
        watch.begin("encode", 1)
        text = self.family.encode_text(prompts)
        mx.eval(
            text
        )  # so that nothing holds the text encoder when the next component needs the room
        watch.done()
        shape = self.family.geometry.latent_shape(request.frames, request.width, request.height)
        rest = self.family.encode_request(request, shape, watch)
        conditions = [
            {k: v[i : i + 1] for k, v in text.items()} | rest for i in range(len(prompts))
        ]
        mx.eval(conditions)
        return conditions

    def _denoise(
        self,
        request: Request,
        noise: mx.array,
        conditions: list[dict[str, mx.array]],
        watch: Watch,
        checkpoint: keep.Checkpoint,
        settings: dict,
    ) -> mx.array:
        """The latents of the whole clip, of which one piece is denoised after the other: most
        models have only one.
        """
        self.family.network("transformer", watch)
        pieces, steps = self.family.pieces(request), request.steps
        saved = checkpoint.read() or keep.State(noise, 0, {})
        x, total = saved.x, steps * len(pieces)
        watch.begin("denoise", total, saved.step)
        for number in range(saved.step // steps, len(pieces)):
            start, stop = pieces[number].start, pieces[number].stop
            told, scheduler = self.family.begin(request, conditions, number, x)
            velocity, first = (
                self._velocity(request, told, stop - start),
                max(0, saved.step - number * steps),
            )
            y = x[:, start:stop] if first else scheduler.begin(x[:, start:stop])
            if first:
                scheduler.restore(saved.memory)
            for i in range(first, steps):
                y, x0 = scheduler.step(velocity, y, i)
                y = self.family.hold(
                    y, noise[:, start:stop], scheduler.sigmas[i + 1].item(), told[-1]
                )
                before, x, done = (
                    x,
                    mx.concatenate([x[:, :start], y, x[:, stop:]], axis=1),
                    number * steps + i + 1,
                )
                try:
                    checks.check_latents(y, f"after step {done} of {total}")
                except DegenerateClipError as error:
                    checkpoint.remove()  # it would only lead here again
                    raise DegenerateClipError(
                        str(error), keep.keep(before, {**settings, "steps_done": done - 1}).leave()
                    ) from None
                checkpoint.save(keep.State(x, done, scheduler.state()))
                watch.done(self._preview(mx.concatenate([x[:, :start], x0], axis=1)))
        return x

    def _preview(self, latents: mx.array) -> Callable[[], np.ndarray] | None:
        if not self.family.components.resident:
            return None
        return lambda: np.concatenate([to_uint8(part) for part in self.family.decode(latents)])

    def _velocity(
        self, request: Request, conditions: list[dict[str, mx.array]], frames: int
    ) -> Velocity:
        """The guided prediction for `frames` latent frames at a time of the scheduler."""
        predict, geometry = self.family.predict, self.family.geometry
        _, h, w = geometry.token_grid(request.frames, request.width, request.height)
        if len(conditions) == 2 and self._in_one_batch(frames // geometry.patch[0] * h * w):
            both = {k: mx.concatenate([c[k] for c in conditions]) for k in conditions[0]}

            def pair(x: mx.array, sigma: float) -> list[mx.array]:
                return mx.split(predict(mx.concatenate([x, x]), sigma, both, request.attention), 2)
        else:

            def pair(x: mx.array, sigma: float) -> list[mx.array]:
                return [predict(x, sigma, condition, request.attention) for condition in conditions]

        def velocity(x: mx.array, sigma: float) -> mx.array:
            predictions = pair(x, sigma)
            without, with_prompt = predictions[0], predictions[-1]
            return (
                without + request.guidance * (with_prompt - without)
                if len(predictions) == 2
                else with_prompt
            )

        return velocity

    def _in_one_batch(self, tokens: int) -> bool:
        """Whether the transformer takes the prompt's `tokens` and the negative prompt's at once."""
        weights = sum(
            weight.nbytes
            for _, weight in tree_flatten(self.family.network("transformer").parameters())
        )
        return in_one_batch(
            tokens,
            weights,
            self.family.width,
            family_of(self.family.components.folder),
            this_machine().usable,
        )

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


def _told(error: RuntimeError, remedy: str) -> Exception:
    """`error`, or where MLX raised it for want of memory a :class:`DoesNotFitError` that says what
    to do.
    """
    return (
        DoesNotFitError(f"The machine ran out of memory; {remedy}.")
        if checks.is_out_of_memory(error)
        else error
    )


def to_uint8(pixels: mx.array) -> np.ndarray:
    """Pixels in [-1, 1] (clipped) as uint8."""
    return np.array(mx.clip(mx.round(pixels * 127.5 + 127.5), 0, 255).astype(mx.uint8))
