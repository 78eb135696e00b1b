"""The one loop: request -> conditions -> noise -> denoise -> decode -> clip.

With progress, previews, cancellation, resume and checks. What a family does differently stands in
its model and its shots (:mod:`mlxvid.model.base`), never here.
"""

from __future__ import annotations

import inspect
import logging
import os
import secrets
from collections.abc import Callable
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from mlxvid import in_use, machines
from mlxvid.errors import (
    CancelledError,
    MachinesError,
    SettingError,
    WeightsError,
)
from mlxvid.macos import awake
from mlxvid.media.clip import Clip
from mlxvid.model.base import Model, Shot
from mlxvid.model.request import Request
from mlxvid.model.settings import making
from mlxvid.progress import STOPPED, Cancel, Progress, Watch
from mlxvid.version import __version__

from . import checks, sharing
from .checkpoint import Checkpoint, RunState, step_of
from .complete import complete
from .denoising import Denoising
from .frames import Frames, OnFrames, to_uint8
from .latents import KeptLatents, keep_latents, read_latents
from .noise import noise_of
from .planning import held_by
from .previews import Previews
from .savings import SKIPPED, skipped_facts
from .smaller_pieces import in_smaller_pieces
from .sources import digests, sources
from .tiny import Tiny
from .turns import one_at_a_time

log = logging.getLogger("mlxvid")

OnProgress = Callable[[Progress], None]

SMALLER = "make the clip smaller or shorter"
CLOSE = "close other programs"
DRAFT = "draft_decode"
STOPPED_MIDWAY = "Stopped; what is done so far is kept, and `resume` goes on from there."
STOPPED_THERE = "Stopped; what machine 1 has kept is there, and `resume` goes on from it."


class _Begun(NamedTuple):
    """A run before its first step: its request, its noise, the settings that its clip will have,
    and the noise and given frames as arrays that its checkpoint is named after.
    """

    request: Request
    noise: mx.array
    settings: dict[str, Any]
    arrays: list[np.ndarray]


class Pipeline:
    """A loaded model. Made by :func:`mlxvid.load`.

    It may be used from any thread. A process makes one clip at a time, whatever pipelines it has:
    a thread waits for its turn, which its `cancel` ends at once. keeps_unsaved: whether the latents
    of clips that are dropped unsaved stay in the cache.
    """

    keeps_unsaved = False

    def __init__(
        self, model: Model, name: str, revision: str | None = None, commit: str | None = None
    ):
        """revision: that was asked for; commit: of the hub repository, where it is known."""
        self.model = model
        self.name = name
        self.revision = revision
        self.commit = commit
        self._tiny = Tiny(model)

    @one_at_a_time
    @awake()
    def generate(
        self,
        prompt: str,
        *,
        latents: Any = None,
        resume: bool = False,
        previews: bool = False,
        on_progress: OnProgress | None = None,
        on_frames: OnFrames | None = None,
        cancel: Cancel | None = None,
        **settings: Any,
    ) -> Clip:
        """Make a clip.

        Its settings are those of :data:`mlxvid.model.settings.SETTINGS` (docs/settings.md); what is
        left out, or None, is the model's default. Sizes and lengths are rounded to what the model
        can make, which is logged on "mlxvid". Pictures are paths, PIL images or uint8 arrays;
        clips are paths, :class:`Clip` objects or uint8 [F, H, W, 3].

        latents: the initial noise in float32, instead of a seed: [1, C, F, H, W], or with frames
        first, [1, F, C, H, W], for the models whose reference has them so.
        resume: go on where a run with these very settings (its seed among them) was interrupted,
        and end with the same clip, bit for bit; from the beginning, which is logged, where none
        was.
        previews: see that :meth:`Progress.preview` has something to show, of a model whose decoder
        has no room beside the denoiser too: the first time, its decoder is loaded for it beforehand
        for some seconds.
        on_progress(Progress) is called after each step, and within one that takes long;
        cancel.is_set() is asked as often and ends the run with :class:`CancelledError`.
        on_frames(frames uint8 [n, H, W, 3]) is called with frames as they are done, in order.

        Raises :class:`SettingError`, :class:`MediaError`, :class:`WeightsError`, and
        :class:`DegenerateClipError` where the result is not finite or shows nothing: its last valid
        latents are then kept, at the error's `latents_path`. :class:`DoesNotFitError` where memory
        runs out; :class:`MachinesError` where another machine of a shared run is lost or differs.
        """
        watch = Watch(on_progress, cancel)
        begun = self._begun(prompt, settings, latents)
        request = begun.request
        if request.more.get(DRAFT):
            self._tiny.require()
        checkpoint = Checkpoint(begun.settings, begun.arrays)
        frames = Frames(on_frames)
        with closing(checkpoint):
            finished = checkpoint.finished() if resume else None
            state = None
            if finished is None:
                state = self._state(checkpoint, resume) or RunState(begun.noise)
            here = sharing.shared()
            if here is not None:
                state = sharing.state_of_first(here, state)
            kept_settings = begun.settings
            if finished is not None:
                result, made, kept = finished
                if SKIPPED in made:
                    kept_settings[SKIPPED] = made[SKIPPED]
                return self._decoded(
                    self.model, result, request.fps, kept_settings, watch, kept, frames
                )
            assert state is not None
            try:
                shot = in_smaller_pieces(lambda: self._shot(request, begun.noise, watch))
                shown = Previews(self.model, self._tiny)
                if previews:
                    shown.prepare(watch)
                run = Denoising(shot, watch, checkpoint, kept_settings, frames, shown)
                result = run.denoised(state)
                kept_settings = {**kept_settings, **skipped_facts(shot)}
                mx.eval(result)  # here, where memory that runs out is told as that
                kept = keep_latents(
                    result, kept_settings, checkpoint.name, tell=not checkpoint.failed
                )
                if kept.path is None:
                    kept = checkpoint.kept()
            except (CancelledError, KeyboardInterrupt) as stop:
                raise type(stop)(STOPPED_MIDWAY if checkpoint.resumable else STOPPED) from None
            except MachinesError as error:
                raise sharing.in_words(error, checkpoint.resumable) from error
            except RuntimeError as error:
                go_on = f"{CLOSE}, and `resume` goes on with the run"
                remedy = go_on if checkpoint.resumable else f"{SMALLER} or {CLOSE}"
                lost = sharing.in_words(error, checkpoint.resumable)
                raise checks.in_words(lost, remedy) from error
            if kept.way != "resume":
                checkpoint.remove()
            return self._decoded(shot, result, request.fps, kept_settings, watch, kept, frames)

    @one_at_a_time
    @awake()
    def assist(self, prompt: str, *, latents: Any = None, **settings: Any) -> None:
        """Do this machine's part of a clip that the first machine makes with :meth:`generate`,
        where they share each step (:func:`mlxvid.machines.share`): with the same arguments. The
        clip is made there, and nothing is kept here.

        Raises what :meth:`generate` does.
        """
        here = sharing.shared()
        if here is None:
            raise SettingError("There is no machine to assist: start the program with mlx.launch.")
        begun = self._begun(prompt, settings, latents)
        watch = Watch(None, None)
        state = sharing.state_of_first(here, None)
        if state is None:
            return
        checkpoint = sharing.NoCheckpoint(begun.settings, ())
        try:
            shot = self._shot(begun.request, begun.noise, watch)
            shown = Previews(self.model, self._tiny)
            run = Denoising(shot, watch, checkpoint, begun.settings, Frames(None), shown)
            mx.eval(run.denoised(state))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(STOPPED_THERE) from None
        except (MachinesError, RuntimeError) as error:
            lost = sharing.in_words(error, resumable=True)
            raise checks.in_words(lost, f"{SMALLER} or {CLOSE}") from error

    def _begun(self, prompt: str, settings: dict[str, Any], latents: Any) -> _Begun:
        """What a run is to begin with. Where machines share it, its seed is the first one's, and
        they agree on everything.
        """
        here = sharing.shared()
        if here is not None and settings.get("seed") is None:
            settings = {**settings, "seed": here.told(secrets.randbelow(2**31))[0]}
        request = complete(self.model.card, {"prompt": prompt, **settings})
        advice = self.model.advice(prompt)
        if advice:
            log.warning(advice)
        noise = noise_of(self.model, request, latents)
        kept_settings = {"mlxvid": __version__, **self.loaded, **request.settings()}
        if self._lora_digests:
            kept_settings["digests"] = {**request.digests, **self._lora_digests}
        if latents is not None:
            kept_settings["latents"] = "given"
        if here is not None:
            sharing.require_agreement(here, self.model, kept_settings)
            self.model.components.agree(here)
        given = [item.frames for item in request.placed]
        if request.video is not None:
            given.append(request.video)
        if request.control is not None:
            given.append(request.control)
        components = self.model.components
        layers = machines.sharing("layers")
        how = (components.dtype, components.quantize, layers.size if layers else 1)
        held = held_by(self.model.card, request, *how)
        components.held = max(held.values())
        return _Begun(request, noise, kept_settings, [np.array(noise), *given])

    def _shot(self, request: Request, noise: mx.array, watch: Watch) -> Shot:
        shot = self.model.shot(request, noise, watch)
        shot.clip = self.model.clip_latents(request, watch)
        return shot

    def _state(self, checkpoint: Checkpoint, resume: bool) -> RunState | None:
        """The state to go on from, where that is wanted; else a line about what there is."""
        if not resume:
            places = [step_of(path) for path in checkpoint.earlier()]
            if checkpoint.waiting():
                places = ["its last step"]
            if places:
                log.warning(
                    "A run with these settings came as far as %s, and `resume` would go on "
                    "from there; it is kept until this one has come as far.",
                    places[0],
                )
            return None
        state = checkpoint.read()
        if state is None and checkpoint.busy:
            log.warning(
                "The run with these settings is under way in another process, so this one starts "
                "at the beginning."
            )
        elif state is None:
            log.warning(
                "There is no interrupted run with these settings that can be read, so this one "
                "starts at the beginning."
            )
        return state

    @property
    def loaded(self) -> dict[str, Any]:
        """What :func:`mlxvid.load` was given, as far as clips depend on it: the model's part of a
        clip's settings.
        """
        components = self.model.components
        loaded = {
            "model": self.name,
            "revision": self.revision,
            "quantize": components.quantize,
            "dtype": components.dtype,
        }
        if self.commit:
            loaded["commit"] = self.commit
        loras = [str(lora) for lora in components.loras]
        return {**loaded, "loras": loras} if loras else loaded

    @cached_property
    def _lora_digests(self) -> dict[str, str]:
        """Digests of the LoRAs that are files or folders, by path."""
        loras = {"loras": self.loaded.get("loras", [])}
        return digests(source.path for source in sources(loras))

    @one_at_a_time
    @awake()
    def decode_saved(
        self,
        path: str | os.PathLike,
        *,
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
    ) -> Clip:
        """The clip of a run that failed while its latents were being decoded or saved, or of a
        draft: now decoded by the model's own decoder.

        path: the file that it kept. Raises :class:`MediaError` for a file that holds no kept
        latents and :class:`WeightsError` for those of another model.
        """
        latents, settings = read_latents(path)
        card = self.model.card
        if latents.shape[-1] != card.geometry.channels:
            raise WeightsError(
                f"The latents in {path} were made by {settings.get('model')}; load that model to "
                "decode them."
            )
        settings.pop(DRAFT, None)
        fps = settings.get("fps", card.defaults.fps)
        watch = Watch(on_progress, cancel)
        kept = KeptLatents(Path(path), in_use.take(Path(path)))
        return self._decoded(self.model, latents, fps, settings, watch, kept, Frames(None))

    @one_at_a_time
    def reconstruct(self, frames: np.ndarray) -> np.ndarray:
        """What the VAE alone makes of frames uint8 [1 + 4k, H, W, 3]: encoded and decoded again."""
        x = mx.array(frames).astype(mx.float32)[None] / 127.5 - 1
        latents = self.model.encoded(x)
        return np.concatenate([to_uint8(part) for part in self.model.decode(latents)])

    def _decoded(
        self,
        decoder: Model | Shot,
        latents: mx.array,
        fps: float,
        settings: dict[str, Any],
        watch: Watch,
        kept: KeptLatents,
        frames: Frames,
    ) -> Clip:
        """The clip, whose latents are in the file `kept` until it is saved or let go; those of a
        draft stay.
        """
        mx.clear_cache()
        draft = bool(settings.get(DRAFT))
        try:
            with kept.named():
                if not draft:
                    # Loaded first, so that this is told as a stage of its own.
                    self.model.network("vae", watch)
                begun = frames.count

                def decode() -> None:
                    frames.again(begun)
                    watch.begin("decode", self.model.card.geometry.pixel_frames(latents.shape[1]))
                    if draft:
                        parts = self._tiny.decode(latents)
                    else:
                        parts = decoder.finish(latents, settings, watch)
                    for pixels in parts:
                        watch.done(count=frames.add(pixels))

                in_smaller_pieces(decode)
                clip = Clip(frames.all(), fps, settings, kept)
        except (CancelledError, KeyboardInterrupt) as stop:
            if kept.path is None:
                raise type(stop)(STOPPED) from None
            raise
        except RuntimeError as error:
            raise checks.in_words(error, f"{SMALLER} or {CLOSE}") from error
        if draft:
            kept.stay()
        elif not self.keeps_unsaved:
            kept.until_dropped()
        return clip


def _signature() -> inspect.Signature:
    """The signature of :meth:`Pipeline.generate` with every setting by its name, for help() and
    editors.
    """
    written = inspect.signature(Pipeline.generate)
    own = [p for p in written.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    keyword = inspect.Parameter.KEYWORD_ONLY
    named = [
        inspect.Parameter(name, keyword, default=None, annotation="Any | None")
        for name in making()
        if name != "prompt"
    ]
    return written.replace(parameters=[*own[:2], *named, *own[2:]])


Pipeline.generate.__signature__ = _signature()  # type: ignore[attr-defined]  # functions have it
