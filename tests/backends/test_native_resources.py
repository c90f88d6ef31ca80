"""What the compiled engine takes from the machine: threads that sleep, memory that comes back."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from native_engine import CONFIGS, checkpoint_in_memory, needs_engine

from openbark.backends.native import library
from openbark.backends.native.backend import NativeBackend
from openbark.backends.native.library import Pool, load_library
from openbark.errors import MissingExtraError
from openbark.params import SamplingParams
from openbark.stages.sampling import Noise, Stage
from openbark.stages.semantic import Prompt

pytestmark = needs_engine


def test_threads_default_to_the_cores_of_the_process() -> None:
    cores = Pool().threads
    assert 1 <= cores <= (os.cpu_count() or 1)
    assert load_library().ob_usable_cores() == cores
    if sys.platform == "linux":
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(allowed)})
        try:
            assert Pool().threads == 1
        finally:
            os.sched_setaffinity(0, allowed)
    assert Pool(5).threads == 5


def test_idle_threads_sleep() -> None:
    backend = NativeBackend.load(checkpoint_in_memory(CONFIGS["wide"]), threads=4)
    backend.session(Stage.COARSE).prefill(Prompt(np.arange(60)))
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1


def test_sessions_of_several_threads_do_not_disturb_each_other() -> None:
    backend = NativeBackend.load(checkpoint_in_memory(CONFIGS["wide"]), threads=3)
    prompts = [Prompt(np.arange(seed, seed + 120) % 180) for seed in range(4)]

    def speak(seed: int) -> list[int]:
        session = backend.session(Stage.COARSE)
        session.read(prompts[seed])
        return session.draw_run(SamplingParams(), Noise(seed), 0, 40)[0].tolist()

    expected = [speak(seed) for seed in range(4)]
    found: dict[int, list[int]] = {}
    workers = [
        threading.Thread(target=lambda seed=seed: found.update({seed: speak(seed)}))
        for seed in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [found[seed] for seed in range(4)] == expected


def _resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_sessions_give_their_memory_back() -> None:
    backend = NativeBackend.load(checkpoint_in_memory(CONFIGS["wide"]), threads=2)
    prompt = Prompt(np.arange(250) % 180)
    for _ in range(10):
        backend.session(Stage.COARSE).prefill(prompt)
    before = _resident_megabytes()
    for _ in range(100):
        backend.session(Stage.COARSE).prefill(prompt)
    assert _resident_megabytes() - before < 5


def test_without_the_library_the_two_ways_out_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match=r"compiler.*openbark\[torch\]"):
        load_library(tmp_path / "absent.so")
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"not a library")
    with pytest.raises(MissingExtraError, match=r"does not open.*openbark\[torch\]"):
        load_library(broken)


def test_kernels_are_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.KERNELS_VARIABLE, "generic")
    assert Pool(1).kernels == "generic"
    assert Pool(1, "generic").kernels == "generic"
