"""Metal text as C++ for g++, by four rewrites; the shim headers do everything else."""

from __future__ import annotations

import re

# `threadgroup T name[N];` in a function becomes a reference into the threadgroup's memory, one for
# each instantiation of that function. Metal has no initial values there, so `= {0}` is dropped. It
# begins a statement: the same words in a comment or a parameter list are something else.
_ARRAY = re.compile(
    r"(?P<before>(?:^|(?<=[;{}]))\s*)threadgroup\s+"
    r"(?P<type>[^;*&(){}=]+?)\s+"
    r"(?P<name>\w+)\s*"
    r"(?P<extent>(?:\[[^\]]*\]\s*)*)"
    r"(?:=\s*\{\s*0?\s*\}\s*)?;",
    re.MULTILINE,
)
_BINDING = re.compile(r"\[\[threadgroup\(\d+\)\]\]")
_CONSTANT = re.compile(
    r"\bconstant\s+(?P<type>\w+)\s+(?P<name>\w+)\s*"
    r"\[\[\s*function_constant\((?P<index>\d+)\)\s*\]\]\s*;"
)
_INSTANTIATION = re.compile(r"^template \[\[host_name\(.*$", re.MULTILINE)


def to_cpp(text: str) -> str:
    """Metal text as C++ for the shim headers, line for line, so that faults name Metal's lines."""
    text = _ARRAY.sub(_array, text)
    text = _CONSTANT.sub(_constant, text)
    text = _BINDING.sub("", text)
    return _INSTANTIATION.sub("", text)


def _array(match: re.Match[str]) -> str:
    kind = match["type"].strip()
    name = match["name"]
    before = match["before"]
    shape = f"using {name}_shape = {kind} {match['extent'].strip()}; static char {name}_key;"
    reference = f"{name}_shape& {name} = emu_shared<{name}_shape>(&{name}_key);"
    line_ends = "\n" * match[0][len(before) :].count("\n")
    return f"{before}{shape} {reference}{line_ends}"


def _constant(match: re.Match[str]) -> str:
    value = f"emu_function_constant<{match['index']}>::value"
    return f"static const {match['type']} {match['name']} = {value};"
