"""The HTTP server: OpenAI's speech endpoints, health, metrics and a web page, around one engine.

`app.create_app` puts it together, `run.serve` runs it, `ray_serve` on a cluster. What speaks is in `speakers`, what a
request goes through in `speech`, what clients see in `http`, what can be left out in `extras`. Needs the extra [server].
"""

from __future__ import annotations

__all__: list[str] = []
