"""Step caching: evaluations of the network whose result is told well enough by earlier ones.

An evaluation is one call of what a scheduler calls, with all its passes: a second-order sampler
makes two a step. What a cache keeps is in a mapping of arrays, which is saved with an interrupted
run: nothing else decides what is left out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import mlx.core as mx

from mlxvid import machines
from mlxvid.layers import bounds, stack

from .guidance import PROMPT, Outputs

Memory = dict[str, mx.array]
"""What a run keeps from one evaluation to the next, by name."""

# Names in the memory: of what is counted through the whole run, and of a cache's own.
CALLS = "count.calls"
SKIPPED = "count.skipped"
PREFIX = "cache."
RESIDUAL = "cache.residual."


class StepCache(ABC):
    """A rule for which evaluations are left out, and what stands in their place.

    memory: the run's. threshold: of the error that may add up before the network is called again;
    0 leaves nothing out. network: the name of the network that predicts at a time, after a change
    of which nothing is known.
    """

    def __init__(self, memory: Memory, threshold: float, network: Callable[[float], str]):
        self.memory = memory
        self.threshold = threshold
        self.network = network

    @abstractmethod
    def _outputs(
        self, x: mx.array, names: Sequence[str], evaluate: Callable[[], Outputs], full: bool
    ) -> tuple[Outputs, bool]:
        """The outputs, and whether the network was left out."""

    def __call__(
        self,
        x: mx.array,
        time: float,
        names: Sequence[str],
        evaluate: Callable[[], Outputs],
        full: bool,
    ) -> Outputs:
        """The outputs of the passes `names` for latents x at a time: those of evaluate(), or what
        is told of them by earlier ones. full: whether they are to be computed.
        """
        before = self._get("time")
        if before is not None and self.network(float(before)) != self.network(time):
            self.forget()
        self._put("time", mx.array(time))
        outputs, skipped = self._outputs(x, names, evaluate, full)
        self._count(CALLS, 1)
        self._count(SKIPPED, int(skipped))
        return outputs

    def forget(self) -> None:
        """Let go of all that was kept, but not of what was counted."""
        self._forget(PREFIX)

    def _forget(self, prefix: str) -> None:
        for name in [name for name in self.memory if name.startswith(prefix)]:
            del self.memory[name]

    def _count(self, name: str, more: int) -> None:
        self.memory[name] = self.memory.get(name, mx.array(0)) + more

    def _get(self, name: str) -> mx.array | None:
        return self.memory.get(PREFIX + name)

    def _put(self, name: str, array: mx.array) -> None:
        self.memory[PREFIX + name] = array

    def _stays_below(self, change: mx.array) -> bool:
        """Add a change to the error so far; False where that has come to the threshold, and begins
        again.
        """
        error = self.memory.get(f"{PREFIX}error", mx.array(0.0)) + change
        here = machines.sharing("guidance", "layers")
        if here is not None:  # none leaves out what another waits for
            error = here.from_first(error)
        bounds.evaluate(error)
        below = float(error) < self.threshold  # and not where it is no number
        self._put("error", error if below else mx.array(0.0))
        return below


class EasyCache(StepCache):
    """EasyCache (arXiv:2507.02860): outputs change as much as inputs do, times a rate that is that
    of the last two evaluations; in between they move with the input.
    """

    def _outputs(
        self, x: mx.array, names: Sequence[str], evaluate: Callable[[], Outputs], full: bool
    ) -> tuple[Outputs, bool]:
        skipped = not full and self._is_near(x, names)
        if full:
            self._put("error", mx.array(0.0))
        self._put("before", x)
        if skipped:
            computed = self.memory[f"{PREFIX}input"]
            moved = {name: self.memory[f"{PREFIX}output.{name}"] - computed for name in names}
            return {name: x + change for name, change in moved.items()}, True
        outputs = evaluate()
        self._learn(x, outputs)
        return outputs, False

    def _is_near(self, x: mx.array, names: Sequence[str]) -> bool:
        rate = self._get("rate")
        known = all(self._get(f"output.{name}") is not None for name in names)
        if rate is None or not known:
            return False
        change = mx.abs(x - self.memory[f"{PREFIX}before"]).mean()
        size = mx.abs(self.memory[f"{PREFIX}output.{PROMPT}"]).mean()
        return self._stays_below(rate * (change / size))

    def _learn(self, x: mx.array, outputs: Outputs) -> None:
        last_input = self._get("input")
        last_output = self._get(f"output.{PROMPT}")
        if last_input is not None and last_output is not None:
            change = mx.abs(outputs[PROMPT] - last_output).mean()
            self._put("rate", change / mx.abs(x - last_input).mean())
        self._forget(f"{PREFIX}output.")
        self._put("input", x)
        for name, output in outputs.items():
            self._put(f"output.{name}", output)


class TeaCache(StepCache):
    """TeaCache (arXiv:2411.19108): the network's stack of blocks adds what it last added, while its
    input has moved little; a polynomial of a model says how much that is.
    """

    def __init__(
        self,
        memory: Memory,
        threshold: float,
        network: Callable[[float], str],
        distance: Callable[[float], float],
    ):
        """distance: of a stack's outputs, by the share by which its input has moved."""
        super().__init__(memory, threshold, network)
        self.distance = distance

    def _outputs(
        self, x: mx.array, names: Sequence[str], evaluate: Callable[[], Outputs], full: bool
    ) -> tuple[Outputs, bool]:
        of_these = f"{RESIDUAL}{'+'.join(names)}."
        stacks = 0
        skipped = False

        def hook(x: mx.array, signal: stack.Signal, blocks: stack.Blocks) -> mx.array:
            nonlocal stacks, skipped
            name = f"{of_these}{stacks}"
            if stacks == 0:  # what the other passes and tiles follow
                held = self.memory.get(name)
                skipped = self._is_near(signal(), full or held is None or held.shape != x.shape)
                if not skipped:
                    self._forget(RESIDUAL)
            stacks += 1
            if skipped:
                return x + self.memory[name]
            y = blocks(x)
            self.memory[name] = y - x
            return y

        with stack.hooked(hook):
            outputs = evaluate()
        return outputs, skipped

    def _is_near(self, signal: mx.array, full: bool) -> bool:
        before = self._get("signal")
        self._put("signal", signal)
        if full or before is None or before.shape != signal.shape:
            self._put("error", mx.array(0.0))
            return False
        share = mx.abs(signal - before).mean() / mx.abs(before).mean()
        bounds.evaluate(share)
        return self._stays_below(mx.array(self.distance(float(share))))
