"""`openbark train embedded` in a clone, where its recipe is, and in an installed package, where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from openbark.cli import recipes
from openbark.cli.recipes import RECIPES
from openbark.cli.train import train
from openbark.errors import TrainingError

ROOT = Path(__file__).parents[2]


def _run(folder: Path, *arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder that holds the package alone, as site-packages does."""
    site = tmp_path / "lib" / "site-packages"
    site.mkdir(parents=True)
    (site / "openbark").symlink_to(ROOT / "src" / "openbark")
    return site


def test_a_clone_has_the_commands_of_its_recipes(tmp_path: Path) -> None:
    for name in RECIPES:
        done = _run(tmp_path, "-m", "openbark", "train", name, "--help", path=ROOT / "src")
        assert done.returncode == 0 and "--seed" in done.stdout, done.stderr


def test_the_recipe_runs_as_a_module() -> None:
    done = _run(ROOT, "-m", "recipes.embedded", "--help", path=ROOT / "src")
    assert done.returncode == 0 and "openbark train embedded" in done.stdout, done.stderr


def test_an_installed_package_in_a_clone_runs_the_recipe_as_a_module(installed: Path) -> None:
    done = _run(ROOT, "-m", "recipes.embedded", "--help", path=installed)
    assert done.returncode == 0 and "--preset" in done.stdout, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("embedded", "--preset", "smoke"), ("embedded",), ("teach", "-o", "folder", "--lines", "3")],
)
def test_an_installed_package_says_where_the_recipe_is(
    installed: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = _run(tmp_path, "-m", "openbark", "train", *arguments, path=installed)
    assert done.returncode == TrainingError.exit_code
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and "clone the repository" in line
    assert "recipes/embedded/" in line


def test_an_installed_package_lists_the_commands(installed: Path, tmp_path: Path) -> None:
    done = _run(tmp_path, "-m", "openbark", "train", "--help", path=installed)
    assert done.returncode == 0
    assert all(name in done.stdout for name in (*RECIPES, "prepare", "coarse"))


def test_a_fault_in_a_recipe_is_not_taken_for_its_absence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "broken_recipe"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "commands.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(recipes, "RECIPES", {"broken": ("broken_recipe", "Nothing")})
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
        train.get_command(click.Context(train), "broken")


def test_recipes_are_in_the_source_distribution() -> None:
    assert "graft recipes" in (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines()
