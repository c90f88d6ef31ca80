"""Shared types: one definition of each, and one test whether a request is to stop."""

from __future__ import annotations

import ast
import threading

import pytest
from architecture_rules import read_package, top_level_names

from openbark.types import stopped

SHARED = {"Tokens", "Codes", "Logits", "Waveform", "Cancel", "Progress"}


def test_each_shared_type_is_defined_once() -> None:
    defined = {
        (module.name, name)
        for module in read_package()
        for name in top_level_names(module)
        if name.lstrip("_") in SHARED
    }
    assert defined == {("openbark.types", name) for name in SHARED}


def test_whether_to_stop_is_tested_in_one_place() -> None:
    testing = {
        module.name
        for module in read_package()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node) == "isinstance(cancel, threading.Event)"
    }
    assert testing == {"openbark.types"}


def test_event_function_and_none() -> None:
    event = threading.Event()
    assert not stopped(None)
    assert not stopped(event)
    event.set()
    assert stopped(event)
    assert stopped(lambda: True)
    assert not stopped(lambda: False)


def test_an_error_of_the_callback_is_not_hidden() -> None:
    def broken() -> bool:
        raise RuntimeError("broken callback")

    with pytest.raises(RuntimeError, match="broken callback"):
        stopped(broken)
