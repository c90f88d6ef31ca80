"""The shape of the package, checked on every file of it.

Each rule of `architecture_rules.py` has a test on the package and a self-test on a source that breaks it, so that a
rule that has gone blind is noticed.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable

import pytest
from architecture_rules import (
    RECIPES,
    ROOT,
    THIRD_PARTY,
    Module,
    findings_all,
    findings_docstrings,
    findings_file_name,
    findings_future,
    findings_import_levels,
    findings_server_levels,
    findings_size,
    findings_statements,
    findings_third_party,
    findings_work_at_import,
    import_cycles,
    imports,
    read_package,
)

HEAVY = ("torch", "numpy", "scipy", "transformers", "huggingface_hub", "tokenizers", "soundfile")

# rule, a module name, a source that breaks the rule, a part of the finding, a source that keeps it
Rule = Callable[[Module], list[str]]
RULES: dict[str, tuple[Rule, str, str, str, str]] = {
    "import levels": (
        findings_import_levels,
        "openbark.stages.coarse",
        "def f() -> None:\n    from openbark.engine import cascade\n",
        "may not import openbark.engine",
        "from openbark.config import BarkConfig\n",
    ),
    "sideways imports": (
        findings_import_levels,
        "openbark.training.prepare",
        "from openbark import api\n",
        "may not import openbark.api",
        "from openbark.engine import cascade\n",
    ),
    "recipes stay out of the package": (
        findings_third_party,
        "openbark.cli.train",
        "def f() -> None:\n    from recipes.embedded import STEPS\n",
        "not a run-time dependency",
        "import click\n",
    ),
    "recipes use training and what is below it": (
        findings_import_levels,
        "recipes.embedded.run",
        "from openbark import api\n",
        "may not import openbark.api",
        "from openbark.training import loop\nfrom recipes.embedded import STEPS\n",
    ),
    "import levels of the server": (
        findings_server_levels,
        "openbark.server.speakers.base",
        "def f() -> None:\n    from openbark.server.speech.serving import SpeechService\n",
        "may not import openbark.server.speech.serving",
        "from openbark.server.speakers import watched\nfrom openbark.server.errors import busy\n",
    ),
    "third-party imports": (
        findings_third_party,
        "openbark.audio",
        "import scipy.signal\n",
        "not a run-time dependency",
        "import soundfile\nimport math\n",
    ),
    "torch stays in its rooms": (
        findings_third_party,
        "openbark.engine.cascade",
        "def f() -> None:\n    import torch\n",
        "only openbark.backends.torch",
        "import numpy as np\n",
    ),
    "standard library at the bottom": (
        findings_third_party,
        "openbark.config",
        "import numpy as np\n",
        "standard library only",
        "import math\n",
    ),
    "file size": (findings_size, "openbark.audio", "x = 1\n" * 401, "401 lines", "x = 1\n" * 400),
    "function size": (
        findings_size,
        "openbark.audio",
        "def f() -> int:\n" + "    x = 1\n" * 80,
        "f is 81 lines",
        "def f() -> int:\n" + "    x = 1\n" * 79,
    ),
    "__all__ exists": (findings_all, "openbark.audio", "x = 1\n", "no __all__", "__all__ = []\n"),
    "__all__ is nowhere else": (
        findings_all,
        "openbark.audio.files",
        "__all__ = ['x']\nx = 1\n",
        "not documented",
        "x = 1\n",
    ),
    "__all__ is complete": (
        findings_all,
        "openbark.audio",
        "__all__ = ['A', 'gone']\nA = 1\nclass B: ...\n",
        "B is public",
        "__all__ = ['A', 'B']\nA = 1\nclass B: ...\ndef _c(): ...\n",
    ),
    "__all__ is true": (
        findings_all,
        "openbark.audio",
        "__all__ = ['gone']\n",
        "gone in __all__",
        "__all__: list[str] = []\n",
    ),
    "module docstring": (
        findings_docstrings,
        "openbark.audio",
        "import math\n",
        "no module docstring",
        '"""Waveforms."""\n',
    ),
    "public docstrings": (
        findings_docstrings,
        "openbark.audio",
        '"""M."""\nclass A:\n    """A."""\n    def f(self): ...\n',
        "A.f has no docstring",
        '"""M."""\nclass A:\n    """A."""\n    def _f(self): ...\n',
    ),
    "no assert": (findings_statements, "openbark.audio", "assert x\n", "assert", "x = 1\n"),
    "no bare except": (
        findings_statements,
        "openbark.audio",
        "try:\n    x = 1\nexcept:\n    pass\n",
        "bare except",
        "try:\n    x = 1\nexcept OSError:\n    pass\n",
    ),
    "no global": (
        findings_statements,
        "openbark.audio",
        "def f():\n    global x\n",
        "global",
        "def f():\n    x = 1\n",
    ),
    "no kwargs": (
        findings_statements,
        "openbark.audio",
        "def f(**options): ...\n",
        "takes **options",
        "def f(*, rate): ...\n",
    ),
    "no relative import": (
        findings_statements,
        "openbark.audio",
        "from . import errors\n",
        "relative import",
        "from openbark import errors\n",
    ),
    "no star import": (
        findings_statements,
        "openbark.audio",
        "from openbark.errors import *\n",
        "star import",
        "from openbark.errors import AudioError\n",
    ),
    "no work at import": (
        findings_work_at_import,
        "openbark.audio",
        '"""M."""\nimport logging\nlogging.basicConfig()\n',
        "Expr at import time",
        '"""M."""\nimport logging\nLOG = logging.getLogger(__name__)\n"""Doc."""\n',
    ),
    "file names": (
        findings_file_name,
        "openbark.training.utils",
        "",
        "says nothing",
        "",
    ),
    "future annotations": (
        findings_future,
        "openbark.audio",
        "x: int = 1\n",
        "__future__",
        "from __future__ import annotations\nx: int = 1\n",
    ),
}


@pytest.fixture(scope="module")
def package() -> list[Module]:
    modules = read_package()
    recipes = read_package(RECIPES)
    assert len(modules) > 20 and len(recipes) > 20, "the reader has lost the package"
    return [*modules, *recipes]


@pytest.mark.parametrize("rule", sorted({entry[0] for entry in RULES.values()}, key=str))
def test_package_keeps(rule: Rule, package: list[Module]) -> None:
    findings = [finding for module in package for finding in rule(module)]
    if findings:
        pytest.fail(f"{rule.__doc__}\n" + "\n".join(findings), pytrace=False)


def test_bark_only_passes_names_on() -> None:
    modules = read_package(ROOT / "src" / "bark")
    assert {module.name for module in modules} >= {"bark", "bark.generation", "bark.__main__"}
    allowed = {"openbark", "__future__", "importlib", "sys", "typing"}
    for module in modules:
        names = {name for _, name in imports(module)}
        assert {name.partition(".")[0] for name in names} <= allowed, module.name
        ours = {name for name in names if name.startswith("openbark")}
        assert all(name.startswith("openbark.compat.suno") for name in ours), module.name
        assert len(module.source.splitlines()) <= 35, module.name
        assert findings_docstrings(module) == []


def test_no_import_cycles(package: list[Module]) -> None:
    assert import_cycles(package) == []


def test_import_cycles_are_noticed() -> None:
    first = Module("openbark.a", "from openbark.b import x\n")
    second = Module("openbark.b", "from openbark import a\n")
    assert import_cycles([first, second]) != []
    assert import_cycles([first, Module("openbark.b", "x = 1\n")]) == []


@pytest.mark.parametrize("name", RULES)
def test_rule_is_not_blind(name: str) -> None:
    rule, module, bad, message, good = RULES[name]
    assert any(message in finding for finding in rule(Module(module, bad)))
    if name != "file names":
        assert rule(Module(module, good)) == []


def test_dependency_table_is_the_one_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = {requirement.partition(">=")[0] for requirement in project["dependencies"]}
    everywhere = {name for name, rooms in THIRD_PARTY.items() if "" in rooms}
    # In one room each: the command line, and Markdown.
    assert everywhere | {"click", "markdown-it-py"} == core
    for extra, requirements in project["optional-dependencies"].items():
        for requirement in requirements:
            assert ">=" in requirement, f"[{extra}] {requirement} has no open range"


def _modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint('MODULES', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("MODULES")[2].split())


def test_import_is_light() -> None:
    assert _modules_after("import openbark").isdisjoint(HEAVY)


def test_help_is_light() -> None:
    loaded = _modules_after(
        "from openbark.cli.main import main\n"
        "sys.argv = ['openbark', '--help']\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code"
    )
    assert loaded.isdisjoint(HEAVY)


def test_light_import_probe_is_not_blind() -> None:
    assert "numpy" in _modules_after("import numpy")


def test_public_names_exist() -> None:
    import openbark

    missing = [name for name in openbark.__all__ if getattr(openbark, name, None) is None]
    assert missing == []
    assert set(openbark.__all__) <= set(dir(openbark))
