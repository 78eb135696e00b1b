"""What machines that share a transformer's layers hold of it, and what they send each other."""

from __future__ import annotations

from collections.abc import Mapping

from mlxvid.errors import SettingError

from .card import Card
from .memory import DTYPE_BYTES, QUANTIZED_BITS, Weights, value_bytes

# Of quantized weights, those of neighbouring inputs that have one scale: they stay together.
QUANTIZED_GROUP = 64
# Bytes a second each way between two machines, about what arrives: by a cable of Thunderbolt 4
# (16.4 Gb/s by iperf3 between a Mac and a PC: jiribrejcha.net, May 2024), by Ethernet of 10 Gb/s.
THUNDERBOLT = 2e9
ETHERNET = 1.1e9


def shared_weights(weights: Weights, card: Card, machines: int) -> Weights:
    """The weights that each of the machines has in memory. weights: of the whole model."""
    shared = card.family.shared
    if machines == 1 or shared is None:
        return weights
    whole = shared.whole(card.width)
    return {
        name: _share(types, whole, card.dtype, machines)
        if card.family.parts[name].stage == "denoise"
        else types
        for name, types in weights.items()
    }


def _share(types: Mapping[str, int], whole: int, dtype: str, machines: int) -> dict[str, int]:
    """Bytes by type of a component of which so many parameters are `whole` on each machine. These
    are never quantized, and where all seem to be, they are as stored: `dtype`.
    """
    floating = [kind for kind in types if kind in DTYPE_BYTES]
    kind = max(floating or types, key=lambda kind: types[kind])
    count = types[kind] / _bytes(kind)
    whole = min(whole, int(count))
    share = {other: size // machines for other, size in types.items()}
    share[kind] = int((count - whole) / machines * _bytes(kind))
    kept = kind if floating else dtype
    share[kept] = share.get(kept, 0) + int(whole * _bytes(kept))
    return share


def _bytes(kind: str) -> float:
    """Bytes of a parameter; `kind` is a type, or "4-bit" for one that is quantized at load."""
    if kind in DTYPE_BYTES:
        return DTYPE_BYTES[kind]
    bits = kind.partition("-")[0]
    return QUANTIZED_BITS[int(bits)] / 8 if bits.isdecimal() else 0.5


def sent_bytes(card: Card, tokens: int, dtype: str | None, metal: bool, machines: int) -> int:
    """Bytes that each machine sends in a pass through the network: what is summed over all goes
    around them as a ring, once to be summed and once to be handed out.

    tokens: that pass together. dtype: that was asked for, None for none.
    """
    shared = card.family.shared
    if machines == 1 or shared is None:
        return 0
    summed = card.blocks * shared.sums * tokens * card.width * value_bytes(card, dtype, metal)
    return int(summed * 2 * (machines - 1) / machines)


def check_shared(card: Card, machines: int, bits: int | None) -> None:
    """Raise :class:`SettingError` where so many machines can't share the model's layers, which
    names how many can. bits: a quantized weight, None for none.
    """
    if not _divides(card, machines, bits):
        able = [str(n) for n in range(2, card.heads + 1) if _divides(card, n, bits)]
        numbers = " or ".join(filter(None, (", ".join(able[:-1]), able[-1]))) if able else ""
        remedy = f"take {numbers} machines, or" if able else "take"
        raise SettingError(
            f"The layers of {card.name}, of {card.heads} heads, can't be shared by {machines} "
            f"machines in equal parts: {remedy} another `parallel`."
        )


def _divides(card: Card, machines: int, bits: int | None) -> bool:
    shared = card.family.shared
    if shared is None or card.heads % machines:
        return False
    unit = machines * QUANTIZED_GROUP if bits else machines
    inputs = (card.width, card.inner_width)
    others = shared.others
    return not any(size % unit for size in inputs) and not any(size % machines for size in others)
