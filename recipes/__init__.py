"""Recipes: what makes one particular model, run from a clone of the repository and not installed with the package."""

from __future__ import annotations

__all__: list[str] = []
