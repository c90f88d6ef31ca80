"""What the files of a checkpoint are called and hold: Hugging Face's layout and Suno's."""

from __future__ import annotations

__all__: list[str] = []
