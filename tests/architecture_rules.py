"""Rules on the shape of the package: functions from a parsed module to a list of findings.

`test_architecture.py` applies them to every file and proves each one on a source that breaks it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "openbark"
RECIPES = ROOT / "recipes"

# From the bottom up. A room may import rooms of a lower level, and of its own level where SIDEWAYS says so.
LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"config", "params", "errors", "extras", "files", "forks", "keywords", "scalars"}),
    frozenset({"types"}),
    frozenset({"text", "audio", "assets"}),
    frozenset({"stages", "watermark"}),
    frozenset({"backends", "voices", "checkpoints"}),
    frozenset({"engine"}),
    frozenset({"longform"}),
    frozenset(
        {
            "api",
            "loading",
            "progress",
            "recipe_fields",
            "replay",
            "result",
            "speech",
            "training",
        }
    ),
    frozenset({"server", "compat", "batch", "bench"}),
    frozenset({"cli", "__main__"}),
    frozenset({""}),  # openbark/__init__.py: lazy names from anywhere, imported by nobody
)
SIDEWAYS: frozenset[tuple[str, str]] = frozenset(
    {
        ("config", "errors"),
        ("params", "errors"),
        ("params", "scalars"),
        ("backends", "checkpoints"),
        ("checkpoints", "voices"),
        ("api", "loading"),
        ("api", "progress"),
        ("extras", "errors"),
        ("keywords", "errors"),
        ("loading", "result"),
        ("api", "result"),
        ("api", "speech"),
        ("speech", "result"),
        ("recipe_fields", "speech"),
        ("recipe_fields", "result"),
        ("replay", "recipe_fields"),
        ("replay", "api"),
        ("replay", "speech"),
        ("replay", "result"),
        ("__main__", "cli"),
        ("recipes", "training"),
    }
)
STANDARD_LIBRARY_ONLY = LEVELS[0]
# Inside `server`, from the bottom up: its packages, and the modules that put them together.
SERVER_LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "keys", "tracing"}),
    frozenset({"settings"}),
    frozenset({"speakers"}),
    frozenset({"speech"}),
    frozenset({"http"}),
    frozenset({"extras"}),
    frozenset({"app"}),
    frozenset({"run"}),
    frozenset({"ray_serve"}),
)
TORCH_ROOMS = (
    "openbark.backends.torch",
    "openbark.training",
    "openbark.compat.transformers",
    "openbark.bench.peers",
    "recipes",
)
# Third-party modules by the room that may import them; "" is every room above the bottom level.
THIRD_PARTY: dict[str, tuple[str, ...]] = {
    "numpy": ("",),
    "safetensors": ("",),
    "tokenizers": ("",),
    "huggingface_hub": ("",),
    "soundfile": ("",),
    "av": ("openbark.audio",),
    "tqdm": ("",),
    "markdown_it": ("openbark.text.scripts.markdown",),
    "click": ("openbark.cli", "recipes.embedded.commands"),
    "torch": TORCH_ROOMS,
    "tensorboard": ("openbark.training",),
    "onnx": ("recipes.embedded.synth",),
    "onnxruntime": ("recipes.embedded.synth",),
    "piper": ("recipes.embedded.synth",),
    "fastapi": ("openbark.server",),
    "starlette": ("openbark.server",),
    "uvicorn": ("openbark.server",),
    "pydantic": ("openbark.server",),
    "pydantic_settings": ("openbark.server",),
    "prometheus_client": ("openbark.server",),
    "wyoming": ("openbark.server",),
    "ray": ("openbark.server", "openbark.batch"),
    "pyarrow": ("openbark.batch",),
    "opentelemetry": ("openbark.server",),
    "transformers": ("openbark.bench.peers",),
}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 80
VAGUE_NAMES = {"utils", "util", "common", "misc", "helper", "helpers", "stuff", "tools"}

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
DefinitionNode = FunctionNode | ast.ClassDef


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name, its text, its tree."""

    name: str
    source: str = field(repr=False)
    is_package: bool = False
    tree: ast.Module = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tree", ast.parse(self.source, filename=self.name))

    @property
    def room(self) -> str:
        """First part of the name below `openbark`, empty for the package itself; of a recipe `recipes`."""
        top, _, below = self.name.partition(".")
        if top == "recipes":
            return "__main__" if below.endswith("__main__") else top
        return below.partition(".")[0]

    def at(self, node: ast.AST, message: str) -> str:
        """One finding, with its place."""
        return f"{self.name}:{getattr(node, 'lineno', 1)}: {message}"


def read_package(root: Path = PACKAGE) -> list[Module]:
    """Every Python file below `root`."""
    modules = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules.append(Module(name, path.read_text(encoding="utf-8"), is_package))
    return modules


def imported_names(module: Module, node: ast.AST) -> list[str]:
    """Dotted names of the modules an import statement reaches (empty for other nodes)."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        if node.level:
            return [module.name]
        if node.module == "openbark":
            return [f"openbark.{alias.name}" for alias in node.names]
        return [node.module or ""]
    return []


def imports(module: Module) -> Iterator[tuple[ast.AST, str]]:
    """Every import of a module, those inside functions included."""
    for node in ast.walk(module.tree):
        for name in imported_names(module, node):
            yield node, name


def level_of(room: str) -> int | None:
    """Index into LEVELS, or None for a room that is not declared. Recipes are at the level of training."""
    room = "training" if room == "recipes" else room
    return next((index for index, rooms in enumerate(LEVELS) if room in rooms), None)


def findings_import_levels(module: Module) -> list[str]:
    """Imports go down; sideways only where declared."""
    own = level_of(module.room)
    if own is None:
        return [f"{module.name}: room {module.room!r} has no level; add it to LEVELS"]
    found = []
    for node, name in imports(module):
        if name.partition(".")[0] != "openbark":
            continue
        room = name.partition(".")[2].partition(".")[0]
        if room == module.room or room == "__version__":
            continue
        target = level_of(room)
        if target is None:
            found.append(module.at(node, f"{name}: room {room!r} has no level"))
        elif target > own or (target == own and (module.room, room) not in SIDEWAYS):
            found.append(
                module.at(node, f"{module.room or 'openbark'} may not import {name}: not below it")
            )
    return found


def _server_level(name: str) -> int | None:
    parts = name.split(".")
    own = parts[2] if len(parts) > 2 and parts[:2] == ["openbark", "server"] else ""
    return next((index for index, each in enumerate(SERVER_LEVELS) if own in each), None)


def findings_server_levels(module: Module) -> list[str]:
    """Imports inside the server go down too."""
    if not module.name.startswith("openbark.server."):
        return []
    own = _server_level(module.name)
    if own is None:
        return [f"{module.name}: has no level inside the server; add it to SERVER_LEVELS"]
    found = []
    for node, name in imports(module):
        target = _server_level(name)
        is_same = name.split(".")[2:3] == module.name.split(".")[2:3]
        if target is not None and target >= own and not is_same:
            found.append(module.at(node, f"{module.name} may not import {name}: not below it"))
    return found


def findings_third_party(module: Module) -> list[str]:
    """Only declared dependencies, each in its rooms, and none at the bottom level."""
    found = []
    for node, name in imports(module):
        top = name.partition(".")[0]
        ours = top == "openbark" or (top == "recipes" and module.room == "recipes")
        if ours or top in sys.stdlib_module_names:
            continue
        if module.room in STANDARD_LIBRARY_ONLY:
            found.append(module.at(node, f"{name}: this level is standard library only"))
        elif top not in THIRD_PARTY:
            found.append(module.at(node, f"{name}: not a run-time dependency of OpenBark"))
        elif not any(
            room == "" or module.name == room or module.name.startswith(room + ".")
            for room in THIRD_PARTY[top]
        ):
            found.append(module.at(node, f"{name}: only {', '.join(THIRD_PARTY[top])} may"))
    return found


def findings_size(module: Module) -> list[str]:
    """Files and functions that can be read in one go."""
    lines = len(module.source.splitlines())
    found = []
    if lines > MAX_FILE_LINES:
        found.append(f"{module.name}: {lines} lines, the limit is {MAX_FILE_LINES}")
    for node in ast.walk(module.tree):
        if isinstance(node, FunctionNode):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                found.append(
                    module.at(node, f"{node.name} is {length} lines, not {MAX_FUNCTION_LINES}")
                )
    return found


def top_level_names(module: Module) -> set[str]:
    """Names the module defines itself: functions, classes, assigned names."""
    names: set[str] = set()
    for node in module.tree.body:
        if isinstance(node, DefinitionNode):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def declared_names(module: Module) -> list[str] | None:
    """The literal list in `__all__`, or None where there is none."""
    for node in module.tree.body:
        target = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(node, ast.Assign):
            target = node.targets[0]
        if isinstance(target, ast.Name) and target.id == "__all__":
            value = getattr(node, "value", None)
            return list(ast.literal_eval(value)) if value is not None else []
    return None


def documented_names(root: Path = ROOT) -> frozenset[str]:
    """Our dotted names in the README and in docs/, without the log."""
    pages = [root / "README.md", *(root / "docs").glob("*.md")]
    texts = [page.read_text(encoding="utf-8") for page in pages if page.name != "LOG.md"]
    return frozenset(re.findall(r"(?<![\w./-])openbark(?:\.[a-z_]+)+", "\n".join(texts)))


DOCUMENTED = documented_names()


def needs_all(module: Module) -> bool:
    """Whether a module is one that users import from: a package, or a module that the documentation names."""
    return module.is_package or module.name in DOCUMENTED


def findings_all(module: Module) -> list[str]:
    """`__all__` is where users import from, says exactly what is public there, and is nowhere else."""
    declared = declared_names(module)
    if not needs_all(module):
        found = declared is not None and not module.name.endswith("__main__")
        return [f"{module.name}: __all__ in a module that is not documented"] if found else []
    if declared is None:
        return [f"{module.name}: no __all__"]
    own = top_level_names(module)
    public = {name for name in own if not name.startswith("_")}
    found = [
        f"{module.name}: {name} is public and not in __all__" for name in public - set(declared)
    ]
    if module.is_package:  # a package may pass on names of its modules, imported or lazy
        return found
    missing = set(declared) - own
    return found + [f"{module.name}: {name} in __all__ is not defined here" for name in missing]


def public_definitions(module: Module) -> Iterator[tuple[DefinitionNode, str]]:
    """Public functions, classes and the methods that public classes define."""
    for node in module.tree.body:
        if not isinstance(node, DefinitionNode) or node.name.startswith("_"):
            continue
        yield node, node.name
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, FunctionNode) and not member.name.startswith("_"):
                    yield member, f"{node.name}.{member.name}"


def _is_overload_or_setter(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(item).endswith(("overload", ".setter")) for item in decorators)


def findings_docstrings(module: Module) -> list[str]:
    """Modules and everything public in them say what they are."""
    found = [] if ast.get_docstring(module.tree) else [f"{module.name}: no module docstring"]
    return found + [
        module.at(node, f"{name} has no docstring")
        for node, name in public_definitions(module)
        if not ast.get_docstring(node) and not _is_overload_or_setter(node)
    ]


def findings_statements(module: Module) -> list[str]:
    """No assert, bare except, global, star import, relative import or `**kwargs` (compat has the signatures of
    others, `**kwargs` included)."""
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assert):
            found.append(module.at(node, "assert: raise an error of openbark.errors instead"))
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(module.at(node, "bare except: name what you expect"))
        elif isinstance(node, ast.Global):
            found.append(module.at(node, "global: hand state in as an object"))
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.append(module.at(node, "relative import"))
        elif isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            found.append(module.at(node, "star import"))
        elif (
            isinstance(node, FunctionNode)
            and node.args.kwarg is not None
            and module.room != "compat"
            and not _passes_on(node)
        ):
            found.append(module.at(node, f"{node.name} takes **{node.args.kwarg.arg}: name them"))
    return found


def _passes_on(node: FunctionNode) -> bool:
    """Whether a wrapper takes the arguments of what it wraps (`**kwargs: P.kwargs`): nothing is swallowed."""
    kwarg = node.args.kwarg
    annotation = kwarg.annotation if kwarg else None
    return isinstance(annotation, ast.Attribute) and annotation.attr == "kwargs"


def _registers_a_command(node: ast.AST) -> bool:
    """Whether a statement does what click's decorators do: `group.add_command(...)` and the like."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func).endswith("_command")
    )


def findings_work_at_import(module: Module) -> list[str]:
    """The top level defines things; it does nothing."""
    if module.name.endswith("__main__"):
        return []
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, *DefinitionNode.__args__)
    found = []
    for node in module.tree.body:
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        is_command = module.room == "cli" and _registers_a_command(node)
        if not (isinstance(node, allowed) or is_text or is_typing or is_command):
            found.append(module.at(node, f"{type(node).__name__} at import time"))
    return found


def findings_file_name(module: Module) -> list[str]:
    """File names are nouns of the field."""
    last = module.name.rpartition(".")[2]
    vague = last in VAGUE_NAMES or last.endswith(("_utils", "_helpers", "_v2", "_old"))
    return [f"{module.name}: {last} says nothing; name what it holds"] if vague else []


def findings_future(module: Module) -> list[str]:
    """Every file with code starts from the same annotation semantics."""
    code = [node for node in module.tree.body if not isinstance(node, ast.Expr)]
    if not code or "from __future__ import annotations" in module.source:
        return []
    return [f"{module.name}: no `from __future__ import annotations`"]


def import_cycles(modules: list[Module]) -> list[str]:
    """Cycles between modules through imports at module level."""
    names = {module.name for module in modules}
    graph: dict[str, set[str]] = {}
    for module in modules:
        reached: set[str] = set()
        for node in module.tree.body:
            for name in imported_names(module, node):
                reached.add(name)
                if isinstance(node, ast.ImportFrom):
                    reached.update(f"{name}.{alias.name}" for alias in node.names)
        graph[module.name] = (reached & names) - {module.name, "openbark"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" -> ".join(error.args[1])]
    return []
