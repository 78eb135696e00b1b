"""A pickle machine that knows tensors and plain containers and nothing else.

A pickle is a program, and Python's own reader runs it: it imports what the file names and calls it.
This one is written on top of the standard library's list of the opcodes (:mod:`pickletools`),
imports nothing and calls nothing, and refuses by name what it does not know. Deep nesting costs it
nothing either: no function here calls itself.
"""

from __future__ import annotations

import io
import pickletools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mlxvid.errors import WeightsError

from .quantized import program_of_class, refusal
from .tensors import damaged, printable

# Enough for a table of twenty thousand tensors, ten times what a large model has; reading it takes
# seconds.
MAX_BYTES = 4 * 2**20

STORAGES = {
    "torch DoubleStorage": "float64",
    "torch FloatStorage": "float32",
    "torch HalfStorage": "float16",
    "torch BFloat16Storage": "bfloat16",
    "torch LongStorage": "int64",
    "torch IntStorage": "int32",
    "torch ShortStorage": "int16",
    "torch CharStorage": "int8",
    "torch ByteStorage": "uint8",
    "torch BoolStorage": "bool",
    "torch.storage UntypedStorage": "uint8",
    "torch UntypedStorage": "uint8",
}
DTYPES = {
    "torch float64": "float64",
    "torch float32": "float32",
    "torch float16": "float16",
    "torch bfloat16": "bfloat16",
    "torch float8_e4m3fn": "float8_e4m3fn",
    "torch float8_e5m2": "float8_e5m2",
    "torch int64": "int64",
    "torch int32": "int32",
    "torch int16": "int16",
    "torch int8": "int8",
    "torch uint64": "uint64",
    "torch uint32": "uint32",
    "torch uint16": "uint16",
    "torch uint8": "uint8",
    "torch bool": "bool",
}
CALLS = frozenset(
    {
        "collections OrderedDict",
        "torch Size",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_tensor_v3",
        "torch._utils _rebuild_parameter",
    }
)
PLAIN = frozenset(
    {
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
    }
)
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


# What trainers save beside the weights: read as empty, since nothing in it is of use here.
SETTINGS = frozenset(
    {
        "argparse Namespace",
        "typing Any",
        "builtins bool",
        "builtins dict",
        "builtins float",
        "builtins int",
        "builtins list",
        "builtins str",
        "omegaconf.base ContainerMetadata",
        "omegaconf.base Metadata",
        "omegaconf.dictconfig DictConfig",
        "omegaconf.listconfig ListConfig",
        "omegaconf.nodes AnyNode",
        "omegaconf.nodes BooleanNode",
        "omegaconf.nodes FloatNode",
        "omegaconf.nodes IntegerNode",
        "omegaconf.nodes StringNode",
        "collections defaultdict",
    }
)


class NoWeightsError(WeightsError):
    """A file that is whole, as far as it was read, and holds something else than weights."""


@dataclass(frozen=True)
class Global:
    """Something that the pickle names and that is known here by name only."""

    name: str


@dataclass(frozen=True)
class Storage:
    """`count` values of `dtype`, which the file keeps under `key`."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class Stored:
    """A tensor: a window on a storage, offset and strides in values; nothing is checked yet."""

    storage: Storage
    dtype: str
    offset: Any
    shape: Any
    strides: Any


class Unpickled(NamedTuple):
    """What a pickle holds.

    value: what was pickled; size: the bytes that it took; storages: those that its tensors are
    windows on, by key.
    """

    value: Any
    size: int
    storages: dict[str, Storage]


def unpickle(data: bytes, path: Path) -> Unpickled:
    """The first pickle in `data`; `path` is the file's, for messages.

    Raises :class:`WeightsError` for one that holds anything but tensors (as :class:`Stored`),
    dicts, lists, tuples, strings, numbers, booleans and None, or that is broken.
    """
    file = io.BytesIO(data[:MAX_BYTES])
    machine = _Machine(path)
    try:
        for opcode, argument, _ in pickletools.genops(file):
            machine.do(opcode.name, argument)
        return Unpickled(machine.stack.pop(), file.tell(), machine.storages)
    except (IndexError, KeyError, ValueError, TypeError):
        if len(data) > MAX_BYTES and file.tell() == MAX_BYTES:
            raise too_long(path) from None
        raise damaged(path) from None


def too_long(path: Path) -> NoWeightsError:
    """What is raised for a pickle of more than :data:`MAX_BYTES`."""
    return NoWeightsError(
        f"{path} has more than {MAX_BYTES} bytes of pickle, as no table of weights has; "
        "download the model again."
    )


class _Machine:
    """The stack and the memo of one pickle.

    Raises IndexError, KeyError, ValueError or TypeError where the program makes no sense.
    """

    def __init__(self, path: Path):
        self.path = path
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def do(self, name: str, argument: Any) -> None:
        """One operation, by the name that pickletools has for it."""
        push = self.stack.append
        pop = self.stack.pop
        match name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                self.marks.append(len(self.stack))
            case "POP":
                pop()
            case "POP_MARK":
                self.marked()
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                push(CONSTANTS[name])
            case "EMPTY_DICT":
                push({})
            case "EMPTY_LIST":
                push([])
            case "EMPTY_TUPLE":
                push(())
            case "TUPLE":
                push(tuple(self.marked()))
            case "LIST":
                push(self.marked())
            case "DICT":
                pairs = self.marked()
                push({})
                self.put(pairs)
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                push(tuple(self.last(int(name[-1]))))
            case "APPEND":
                self.extend(self.last(1))
            case "APPENDS":
                self.extend(self.marked())
            case "SETITEM":
                self.put(self.last(2))
            case "SETITEMS":
                self.put(self.marked())
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = self.stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = self.stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                push(self.memo[argument])
            case "GLOBAL":
                push(self.known(argument))
            case "STACK_GLOBAL":
                push(self.known(" ".join(self.last(2))))
            case "BINPERSID":
                push(self.storage(pop()))
            case "REDUCE":
                push(self.call(*self.last(2)))
            case "NEWOBJ":
                push(self.settings(*self.last(2)))
            case "BUILD":  # of settings, or of a state dict: notes on the modules' versions
                pop()
                self.container(dict)
            case _ if name in PLAIN:
                push(argument)
            case _:
                raise self.foreign(name)

    def foreign(self, operation: str) -> NoWeightsError:
        return NoWeightsError(
            f"{self.path} holds the pickle operation {operation}, which no weights need; {ADVICE}"
        )

    def settings(self, kind: Any, arguments: Any) -> dict[str, Any]:
        """What stands for a trainer's settings, of which nothing is made."""
        if not isinstance(kind, Global) or kind.name not in SETTINGS or arguments != ():
            raise self.foreign("NEWOBJ")
        return {}

    def last(self, count: int) -> list[Any]:
        """The topmost values, taken off the stack."""
        if len(self.stack) < count:
            raise IndexError
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def marked(self) -> list[Any]:
        """The values above the last mark, taken off the stack."""
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def container(self, kind: type) -> Any:
        """The topmost value, which has to be a `kind`."""
        if not isinstance(self.stack[-1], kind):
            raise TypeError
        return self.stack[-1]

    def extend(self, values: list[Any]) -> None:
        self.container(list).extend(values)

    def put(self, pairs: list[Any]) -> None:
        """Keys and values, by turns, into the topmost dict."""
        target = self.container(dict)
        keys = pairs[::2]
        # A nested tuple would be hashed by calls within calls, as deep as the file likes.
        if not all(isinstance(key, (str, int, float, bool, type(None))) for key in keys):
            raise TypeError
        target.update(zip(keys, pairs[1::2], strict=True))

    def known(self, name: str) -> Global:
        if name in STORAGES or name in DTYPES or name in CALLS or name in SETTINGS:
            return Global(name)
        what = printable(name.replace(" ", ".", 1))
        program = program_of_class(what)
        if program:
            raise refusal(self.path, program)
        raise NoWeightsError(
            f"{self.path} holds {what}, which is neither a tensor nor a plain container; {ADVICE}"
        )

    def storage(self, identity: Any) -> Storage:
        """What a persistent id stands for: ("storage", type, key, place, count).

        Checkpoints before PyTorch 0.4 have a view's data behind them.
        """
        what, kind, key, _, count, *view = identity
        if what != "storage" or view not in ([], [None]):
            raise ValueError
        if not isinstance(kind, Global) or not isinstance(key, str) or not _is_size(count):
            raise ValueError
        return self.storages.setdefault(key, Storage(key, STORAGES[kind.name], count))

    def call(self, function: Any, arguments: Any) -> Any:
        """What `function` would give, if it were called."""
        match (function.name if isinstance(function, Global) else None, arguments):
            case ("collections OrderedDict", ()):
                return {}
            case ("collections defaultdict", (Global(),)):
                return {}
            case ("torch Size", (tuple() as sizes,)):
                return sizes
            case ("torch._utils _rebuild_parameter", (Stored() as tensor, _, _)):
                return tensor
            case (
                "torch._utils _rebuild_tensor_v2",
                (Storage() as storage, offset, shape, strides, _, _, *_),
            ):
                return Stored(storage, storage.dtype, offset, shape, strides)
            case (
                "torch._utils _rebuild_tensor_v3",
                (Storage() as storage, offset, shape, strides, _, _, Global(dtype), *_),
            ):
                return Stored(storage, DTYPES[dtype], offset, shape, strides)
        raise ValueError


ADVICE = (
    "nothing of it was run, so get the model from a source that you trust, "
    "as .safetensors if there is one."
)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
