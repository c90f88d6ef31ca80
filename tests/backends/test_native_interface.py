"""The C interface: the header, the table of signatures, the structures and the numbers say the same."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path

import numpy as np
import pytest
from native_engine import needs_engine

from openbark.backends.native.capi import (
    HANDLES,
    SIGNATURES,
    Array,
    declare,
    header_path,
    header_version,
)
from openbark.backends.native.codec_layout import CodecKind
from openbark.backends.native.library import Kernels, Pool, load_library
from openbark.backends.native.sessions import Stop
from openbark.backends.native.structs import (
    MAX_HEAD_PARTS,
    DrawRules,
    Precision,
    Run,
    Sampling,
    Shape,
)
from openbark.errors import MissingExtraError

_STRUCTS: dict[str, type[ctypes.Structure]] = {
    "ob_shape": Shape,
    "ob_sampling": Sampling,
    "ob_draw_rules": DrawRules,
    "ob_run": Run,
}
_SCALARS = {
    "int": ctypes.c_int,
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t,
    "double": ctypes.c_double,
}
_ARRAYS = {"float": np.float32, "double": np.float64, "int32_t": np.int32, "int64_t": np.int64}
_HEADER = re.sub(r"/\*.*?\*/", " ", header_path().read_text(encoding="utf-8"), flags=re.DOTALL)


def _declared() -> Iterator[tuple[str, str, list[str]]]:
    """Name, result and arguments of every function of the header, as C text."""
    for result, name, arguments in re.findall(
        r"OB_API\s+([\w\s*]+?)\s*\b(ob_\w+)\(([^)]*)\);", _HEADER
    ):
        parts = [" ".join(part.split()) for part in arguments.split(",")]
        yield name, result.replace(" *", "*"), [] if parts == ["void"] else parts


def _described(kind: object) -> str:
    """One way to write what the table says, and what the header says."""
    if kind is None:
        return "void"
    if isinstance(kind, Array):
        return repr(kind)
    pointed = getattr(kind, "_type_", None)
    if isinstance(pointed, type):
        return f"pointer to {pointed.__name__}"
    return kind.__name__ if isinstance(kind, type) else repr(kind)


def _of_c(text: str, is_result: bool = False) -> set[str]:
    """The descriptions that fit a C type; a number through a pointer may be one result or an array of them."""
    text = re.sub(r"\b(\w+)$", "", text).strip() if not is_result else text
    constant = text.startswith("const ")
    bare = text.removeprefix("const ").strip()
    if bare == "char*":
        return {"c_char_p"}
    if bare.endswith("* const*") or bare in ("void**", "void* *"):
        return {"pointer to c_void_p"}
    if bare == "void*":
        return {"c_void_p"}
    name = bare.rstrip("* ")
    depth = bare.count("*")
    if name in HANDLES:
        return {HANDLES[name].__name__ if depth == 1 else f"pointer to {HANDLES[name].__name__}"}
    if name in _STRUCTS:
        return {f"pointer to {_STRUCTS[name].__name__}"}
    if depth == 0:
        return {"void"} if name == "void" else {_SCALARS[name].__name__}
    found = set()
    if name in _ARRAYS:
        found.add(repr(Array(_ARRAYS[name], not constant)))
    if name in _SCALARS and not constant:
        found.add(f"pointer to {_SCALARS[name].__name__}")
    return found


def test_the_table_is_the_header() -> None:
    declared = {name: (result, arguments) for name, result, arguments in _declared()}
    assert sorted(declared) == sorted(SIGNATURES)
    assert len(declared) > 40
    for name, (result, arguments) in declared.items():
        found, kinds = SIGNATURES[name]
        assert _described(found) in _of_c(result, is_result=True), name
        assert len(kinds) == len(arguments), name
        for kind, argument in zip(kinds, arguments, strict=True):
            assert _described(kind) in _of_c(argument), f"{name}: {argument}"


@pytest.mark.parametrize("change", ["a result", "an argument", "a count"])
def test_a_table_that_differs_is_noticed(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result, arguments = SIGNATURES["ob_causal_step"]
    wrong = {
        "a result": (None, arguments),
        "an argument": (result, (arguments[0], ctypes.c_int)),
        "a count": (result, arguments[:1]),
    }[change]
    monkeypatch.setitem(SIGNATURES, "ob_causal_step", wrong)
    with pytest.raises(AssertionError, match="ob_causal_step"):
        test_the_table_is_the_header()


@pytest.mark.parametrize("name", _STRUCTS)
def test_structures_have_the_headers_fields(name: str) -> None:
    body = re.search(rf"typedef struct {name} \{{(.*?)\}} {name};", _HEADER, re.DOTALL)
    assert body is not None
    declared = [" ".join(line.split()) for line in body[1].split(";") if line.strip()]
    fields = _STRUCTS[name]._fields_
    assert len(declared) == len(fields)
    for line, (field, kind, *_) in zip(declared, fields, strict=True):
        match = re.fullmatch(r"(.*?)\s*\b(\w+)(\[\w+\])?", line)
        assert match is not None
        text, found, length = match[1].replace(" *", "*"), match[2], match[3]
        assert found == field
        if length:
            assert length == "[OB_MAX_HEAD_PARTS]"
            assert kind._length_ == MAX_HEAD_PARTS  # type: ignore[attr-defined]
            assert kind._type_ is _SCALARS[text]  # type: ignore[attr-defined]
        elif text in _STRUCTS:
            assert kind is _STRUCTS[text]
        elif "*" in text:
            assert issubclass(kind, ctypes.c_void_p) or kind is ctypes.POINTER(DrawRules)
        else:
            assert kind is _SCALARS[text]


@pytest.mark.parametrize(
    ("enum", "prefix", "kind"),
    [
        ("ob_isa", "OB_ISA_", Kernels),
        ("ob_precision", "OB_", Precision),
        ("ob_stop", "OB_STOP_", Stop),
        ("ob_codec_kind", "OB_", CodecKind),
    ],
)
def test_numbers_are_the_headers(enum: str, prefix: str, kind: type[IntEnum]) -> None:
    body = re.search(rf"enum {enum} \{{(.*?)\}};", _HEADER, re.DOTALL)
    assert body is not None
    declared = {
        name.removeprefix(prefix): int(number)
        for name, number in re.findall(r"(\w+)\s*=\s*(\d+)", body[1])
    }
    assert declared == {each.name: each.value for each in kind}
    assert f"#define OB_MAX_HEAD_PARTS {MAX_HEAD_PARTS}" in _HEADER


def test_every_function_and_constant_is_documented() -> None:
    """A comment directly above, or above the create function of a create and destroy pair."""
    text = header_path().read_text(encoding="utf-8")
    blocks = re.split(r"\n\n", text)
    bare = [
        block
        for block in blocks
        if block.startswith("OB_API") and not re.match(r"OB_API int ob_memory_create", block)
    ]
    assert bare == []


@needs_engine
def test_a_library_of_another_header_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "other.c"
    source.write_text("int ob_version(void) { return 4; }\n", encoding="utf-8")
    other = tmp_path / "other.so"
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", other, source], check=True)
    except FileNotFoundError:
        pytest.skip("no C compiler")
    with pytest.raises(MissingExtraError, match=r"another version.*openbark\[torch\]"):
        load_library(other)
    assert load_library().ob_version() == header_version()
    with pytest.raises(AttributeError):
        declare(ctypes.CDLL(str(other)))


@needs_engine
def test_wrong_arguments_are_refused_before_they_reach_the_library() -> None:
    pool = Pool(1)
    numbers = np.zeros(4, np.float32)
    for wrong in (numbers.astype(np.float64), numbers[::2], [0.0], 7):
        with pytest.raises(ctypes.ArgumentError):
            pool.library.ob_causal_logits(None, wrong)
    numbers.setflags(write=False)
    with pytest.raises(ctypes.ArgumentError):
        pool.library.ob_causal_logits(None, numbers)
    with pytest.raises(ctypes.ArgumentError):
        pool.library.ob_model_destroy(pool.handle)
    with pytest.raises(TypeError):
        pool.library.ob_uniform(1, 2, 3)
