"""The HTTP server: OpenAI's speech endpoints, health, metrics and a web page, around one engine.

`app.create_app` puts it together, `run.serve` runs it. Needs the extra [server].
"""

from __future__ import annotations

__all__: list[str] = []
