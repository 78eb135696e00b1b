"""From Metal text to what g++ compiles: four rewrites, everything else is the shim headers' work."""

from __future__ import annotations

import re

# `threadgroup T name[N];` in a function becomes a reference into the threadgroup's memory, one for
# each instantiation of that function. Metal has no initial values there, so `= {0}` is dropped. It
# begins a statement: the same words in a comment or a parameter list are something else.
_ARRAY = re.compile(
    r"(?P<before>(?:^|(?<=[;{}]))\s*)threadgroup\s+(?P<type>[^;*&(){}=]+?)\s+(?P<name>\w+)\s*(?P<extent>(?:\[[^\]]*\]\s*)*)(?:=\s*\{\s*0?\s*\}\s*)?;",
    re.MULTILINE,
)
_BINDING = re.compile(r"\[\[threadgroup\(\d+\)\]\]")
_CONSTANT = re.compile(
    r"\bconstant\s+(?P<type>\w+)\s+(?P<name>\w+)\s*\[\[\s*function_constant\((?P<index>\d+)\)\s*\]\]\s*;"
)
_INSTANTIATION = re.compile(r"^template \[\[host_name\(.*$", re.MULTILINE)


def to_cpp(text: str) -> str:
    """Metal text as C++ for the shim headers, line for line (so that faults name the Metal source's
    lines).
    """

    def array(match: re.Match) -> str:
        kind, name, extent = match["type"].strip(), match["name"], match["extent"].strip()
        shape = f"using {name}_shape = {kind} {extent}; static char {name}_key;"
        kept = "\n" * match[0][len(match["before"]) :].count("\n")
        return f"{match['before']}{shape} {name}_shape& {name} = emu_shared<{name}_shape>(&{name}_key);{kept}"

    def constant(match: re.Match) -> str:
        return f"static const {match['type']} {match['name']} = emu_function_constant<{match['index']}>::value;"

    return _INSTANTIATION.sub(
        "", _BINDING.sub("", _CONSTANT.sub(constant, _ARRAY.sub(array, text)))
    )
