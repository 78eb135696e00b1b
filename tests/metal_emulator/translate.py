"""From Metal text to what g++ compiles: three rewrites, everything else is the shim headers' work."""

from __future__ import annotations

import re
from collections.abc import Mapping

# `threadgroup T name[N];` in a function becomes a reference into the threadgroup's memory, one for each instantiation of that function.
_ARRAY = re.compile(r"\bthreadgroup\s+(?P<type>[^;*&(){}=]+?)\s+(?P<name>\w+)\s*(?P<extent>(?:\[[^\]]*\]\s*)*);")
_CONSTANT = re.compile(r"\bconstant\s+(?P<type>\w+)\s+(?P<name>\w+)\s*\[\[\s*function_constant\((?P<index>\d+)\)\s*\]\]\s*;")
_INSTANTIATION = re.compile(r"^template \[\[host_name\(.*$", re.MULTILINE)


def to_cpp(text: str, constants: Mapping[str, object] | None = None) -> str:
    """Metal text as C++ for the shim headers, line for line (so that faults name the Metal source's lines).

    constants: values of ``[[function_constant(i)]]`` by name; those not named are false or zero.
    """

    def array(match: re.Match) -> str:
        kind, name, extent = match["type"].strip(), match["name"], match["extent"].strip()
        kept = "\n" * match[0].count("\n")
        return f"using {name}_shape = {kind} {extent}; static char {name}_key; {name}_shape& {name} = emu_shared<{name}_shape>(&{name}_key);{kept}"

    def constant(match: re.Match) -> str:
        value = (constants or {}).get(match["name"], 0)
        return f"static const {match['type']} {match['name']} = {str(value).lower() if isinstance(value, bool) else value};"

    return _INSTANTIATION.sub("", _CONSTANT.sub(constant, _ARRAY.sub(array, text)))
