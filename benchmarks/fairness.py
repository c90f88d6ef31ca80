"""Short requests while a long one is spoken: seconds to their first audio, beside what they need alone.

    python -m benchmarks.fairness [--characters 20000] [--short 20] [--model FOLDER] [--threads N]

Starts a server of its own on a free port with the model that is named, the embedded one by default. Prints a table
and, as its last line, the figures as JSON. Exits with 1 where a short request was later than 3 s and than twice its
time alone, or where the long one did not arrive whole.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from dataclasses import asdict, dataclass

import httpx
import uvicorn

from openbark.api import Bark
from openbark.server.app import create_app
from openbark.server.run import listen, uvicorn_config
from openbark.server.settings import load_settings
from openbark.server.speakers.bark_speaker import BarkSpeaker

_SHORT = "Please turn on the lights in the hall."
_LONG = "This is one of the many sentences of a chapter that is read aloud to its end. "
_MOST_SECONDS = 3.0


@dataclass(frozen=True)
class Figures:
    """alone, beside: median seconds to the first audio of short requests; worst: the largest beside the long one."""

    alone: float
    beside: float
    worst: float
    n_short: int
    long_seconds: float
    long_is_whole: bool
    refused: int

    @property
    def holds(self) -> bool:
        """Whether everything was in time, and whole."""
        limit = max(_MOST_SECONDS, 2 * self.alone)
        return self.worst <= limit and self.long_is_whole and not self.refused


def first_audio(url: str) -> float | None:
    """Seconds to the first audio of a short request, which is read to its end; None when it was refused."""
    began = time.perf_counter()
    body = {"input": _SHORT, "voice": "alloy", "response_format": "pcm"}
    with httpx.stream("POST", url, json=body, timeout=600) as answer:
        if answer.status_code != 200:
            return None
        parts = answer.iter_raw()
        next(parts)
        seconds = time.perf_counter() - began
        for _ in parts:
            pass
    return seconds


def measure(url: str, n_characters: int, n_short: int) -> Figures:
    """Speak short requests alone, then beside a long one."""
    alone = [first_audio(url) or 0.0 for _ in range(5)]
    heard: list[tuple[float, bool]] = []
    begun = threading.Event()

    def speak_long() -> None:
        text = (_LONG * (n_characters // len(_LONG) + 1))[:n_characters]
        body = {"input": text, "voice": "alloy", "response_format": "pcm"}
        n_bytes = 0
        is_whole = False
        try:
            with httpx.stream("POST", url, json=body, timeout=600) as answer:
                for part in answer.iter_raw():
                    n_bytes += len(part)
                    begun.set()
            is_whole = answer.status_code == 200
        except httpx.HTTPError as error:
            print(f"the long request broke: {error!r}")
        begun.set()
        heard.append((n_bytes / 48_000, is_whole))

    client = threading.Thread(target=speak_long)
    client.start()
    begun.wait()
    beside = [first_audio(url) for _ in range(n_short)]
    client.join()
    times = [seconds for seconds in beside if seconds is not None]
    return Figures(
        alone=statistics.median(alone),
        beside=statistics.median(times),
        worst=max(times),
        n_short=len(times),
        long_seconds=heard[0][0],
        long_is_whole=heard[0][1],
        refused=n_short - len(times),
    )


def main() -> int:
    """Start a server, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--characters", type=int, default=20_000)
    parser.add_argument("--short", type=int, default=20)
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    settings = load_settings(None, {"port": 0})
    door = listen(settings)
    app = create_app(BarkSpeaker(Bark.load(given.model, threads=given.threads)), settings)
    server = uvicorn.Server(uvicorn_config(app, settings))
    serving = threading.Thread(target=server.run, args=([door],))
    serving.start()
    base = f"http://127.0.0.1:{door.getsockname()[1]}"
    try:
        while not server.started or httpx.get(f"{base}/health/ready").status_code != 200:
            time.sleep(0.05)
        figures = measure(f"{base}/v1/audio/speech", given.characters, given.short)
    finally:
        server.should_exit = True
        serving.join()
        door.close()
    print(f"first audio of a short request alone {figures.alone:.2f} s")
    print(
        f"beside {given.characters} characters   {figures.beside:.2f} s, at most {figures.worst:.2f} s"
    )
    print(f"the long one {figures.long_seconds:.0f} s of audio, whole: {figures.long_is_whole}")
    print(json.dumps({**asdict(figures), "holds": figures.holds}))
    return 0 if figures.holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
