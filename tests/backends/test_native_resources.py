"""What the compiled engine takes from the machine: threads that sleep, memory that comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from native_engine import CONFIGS, checkpoint_in_memory, needs_engine
from waiting import wait_until

from openbark.api import Bark
from openbark.backends.native import library
from openbark.backends.native.backend import NativeBackend
from openbark.backends.native.library import Pool, load_library, usable_cores
from openbark.checkpoints import random_checkpoint, save_checkpoint
from openbark.config import BarkConfig, GPTConfig
from openbark.errors import MissingExtraError, ParamError
from openbark.params import SUNO_PARAMS, SamplingParams
from openbark.stages.sampling import Noise, Stage
from openbark.stages.semantic import Prompt

pytestmark = needs_engine

measures_memory = pytest.mark.skipif(
    sys.platform != "linux" or "asan" in os.environ.get("LD_PRELOAD", ""),
    reason="reads /proc, and AddressSanitizer keeps what is freed",
)


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


def _task_states() -> dict[int, str]:
    """State letter of every thread of this process as the system sees it: S sleeps, R runs or would like to."""
    states = {}
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread that ends while it is looked at
            states[int(task.name)] = (task / "stat").read_text().rpartition(")")[2].split()[0]
    return states


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_idle_threads_sleep() -> None:
    before = set(_task_states())
    backend = NativeBackend.load(checkpoint_in_memory(CONFIGS["wide"]), threads=4)
    backend.session(Stage.COARSE).prefill(Prompt(np.arange(60)))
    own = set(_task_states()) - before
    assert len(own) == 3
    wait_until(lambda: all(_task_states()[task] == "S" for task in own), "sleep of idle threads")


def test_N7_sessions_of_several_threads_do_not_disturb_each_other() -> None:
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


@measures_memory
def test_sessions_give_their_memory_back() -> None:
    backend = NativeBackend.load(checkpoint_in_memory(CONFIGS["wide"]), threads=2)
    prompt = Prompt(np.arange(250) % 180)
    for _ in range(10):
        backend.session(Stage.COARSE).prefill(prompt)
    before = _resident_megabytes()
    for _ in range(100):
        backend.session(Stage.COARSE).prefill(prompt)
    assert _resident_megabytes() - before < 5


@measures_memory
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_200_generations_do_not_grow(dtype: str, tiny_checkpoint_dir: Path) -> None:
    from openbark.api import Bark
    from openbark.params import GenerationParams

    bark = Bark.load(tiny_checkpoint_dir, backend="native", dtype=dtype, threads=2)
    params = GenerationParams(max_semantic_tokens=30, allow_early_stop=False)
    for seed in range(10):
        bark.generate("Hello there.", seed=seed, params=params)
    before = _resident_megabytes()
    for seed in range(200):
        bark.generate("Hello there.", seed=seed, params=params)
    assert _resident_megabytes() - before < 20


@measures_memory
def test_weights_are_packed_one_by_one_and_tables_stay_in_the_file(tmp_path: Path) -> None:
    """A child process packs 100 MB of float32 weights, most of them an embedding table, and looks up a few
    rows: what it takes is the packed weights, one tensor, and little more."""
    config = replace(
        BarkConfig.tiny(), semantic=GPTConfig(64, 40_000, 110, n_layer=2, n_head=4, n_embd=512)
    )
    folder = save_checkpoint(tmp_path / "m", config, random_checkpoint(config), SUNO_PARAMS, None)
    child = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(folder)], check=True, capture_output=True, text=True
    )
    grown, packed = json.loads(child.stdout)
    assert grown - packed < 16e6


_MEASURE = """
import json, sys
import numpy as np
from pathlib import Path
from openbark.backends.native.backend import NativeBackend
from openbark.checkpoints import open_checkpoint
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt

def peak():
    return next(int(line.split()[1]) * 1024 for line in Path("/proc/self/status").open() if "VmHWM" in line)

checkpoint = open_checkpoint(sys.argv[1], need_tokenizer=False)
before = peak()
backend = NativeBackend.load(checkpoint, "int8", threads=2)
backend.causal_logits(Stage.SEMANTIC, Prompt(np.arange(20)))
print(json.dumps([peak() - before, backend.packed_bytes]))
"""


def test_without_the_library_the_two_ways_out_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match=r"openbark\[torch\]"):
        load_library(tmp_path / "absent.so")
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"not a library")
    with pytest.raises(MissingExtraError, match=r"does not open.*openbark\[torch\]"):
        load_library(broken)


def test_the_source_folder_is_told_from_an_installed_package_without_a_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python that runs in the clone finds src/openbark, where nothing is compiled: a compiler is not what lacks."""
    clone = tmp_path / "clone"
    package = clone / "src" / "openbark" / "backends" / "native"
    package.mkdir(parents=True)
    monkeypatch.setattr(library, "__file__", str(package / "library.py"))
    (clone / "setup.py").touch()
    assert library.source_folder() == clone
    with pytest.raises(MissingExtraError, match=r"make native.*pip install \.") as caught:
        load_library()
    assert str(clone) in str(caught.value)
    assert "compiler" not in str(caught.value)

    installed = tmp_path / "site-packages" / "openbark" / "backends" / "native"
    installed.mkdir(parents=True)
    monkeypatch.setattr(library, "__file__", str(installed / "library.py"))
    assert library.source_folder() is None
    with pytest.raises(MissingExtraError, match=r"install a C\+\+17 compiler"):
        load_library()


_WRONG_THREADS = [
    0,
    -1,
    True,
    False,
    np.True_,
    1.5,
    2.0,
    np.float64(2),
    "2",
    "all",
    [2],
    {},
    np.nan,
]


@pytest.mark.parametrize("threads", _WRONG_THREADS, ids=repr)
def test_threads_are_a_whole_number_from_1(threads: object, tiny_checkpoint_dir: Path) -> None:
    with pytest.raises(ParamError, match=r"threads is .*allowed: a whole number from 1"):
        Pool(threads)  # type: ignore[arg-type]
    for backend in ("native", "torch", "auto"):
        with pytest.raises(ParamError, match=r"threads is .*allowed: a whole number from 1"):
            Bark.load(tiny_checkpoint_dir, backend=backend, threads=threads)  # type: ignore[arg-type]


@pytest.mark.parametrize("threads", [1, np.int64(1), np.uint8(1), np.array(1)[()]], ids=repr)
def test_numpy_numbers_of_threads_are_numbers(threads: int, tiny_checkpoint_dir: Path) -> None:
    assert Pool(threads).threads == 1
    assert "1 thread" in Bark.load(tiny_checkpoint_dir, threads=threads).backend.description


@pytest.mark.parametrize("threads", [999, 10**6, 2**31, 2**64, 10**30])
@pytest.mark.parametrize("backend", ["native", "torch"])
def test_more_threads_than_cores_are_reduced_with_a_line_in_the_log(
    threads: int, backend: str, tiny_checkpoint_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if backend == "torch":
        pytest.importorskip("torch")
    cores = usable_cores()
    with caplog.at_level("WARNING"):
        bark = Bark.load(tiny_checkpoint_dir, backend=backend, threads=threads)
    assert f"{cores} threads" in bark.backend.description
    assert f"threads={threads}" in caplog.text
    assert f"computing with {cores} threads" in caplog.text
    with pytest.raises(ParamError, match="allowed: 1 to 1024"):
        Pool(max(threads, 2000))


@pytest.mark.parametrize("threads", [3, 16, 64])
def test_a_pool_with_more_threads_than_cores_computes_the_same(threads: int) -> None:
    """Threads that wait give their core away, so that even these end."""
    checkpoint = checkpoint_in_memory(CONFIGS["wide"])

    def speak(threads: int) -> list[int]:
        session = NativeBackend.load(checkpoint, threads=threads).session(Stage.COARSE)
        session.read(Prompt(np.arange(60)))
        return session.draw_run(SamplingParams(), Noise(1), 0, 12)[0].tolist()

    assert speak(threads) == speak(1)


_FEW = """
import resource, sys
from pathlib import Path
from openbark.backends.native.library import Pool
from openbark.errors import OpenBarkError
import numpy as np
pool, seconds = Pool(1000), np.zeros(1)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 28),) * 2)
for _ in range(2):
    try:
        pool.call("ob_probe_read", pool.handle, 1 << 20, 1, seconds)
    except OpenBarkError as error:
        print(error)
print("alive", pool.threads)
"""


@measures_memory
def test_threads_that_the_system_refuses_are_an_error_and_not_an_abort() -> None:
    done = subprocess.run([sys.executable, "-c", _FEW], check=True, capture_output=True, text=True)
    first, second, alive = done.stdout.splitlines()
    for line in (first, second):
        assert "of 1000 threads could be started" in line
        assert "give threads=" in line
    assert alive == "alive 1000"


def test_kernels_are_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.KERNELS_VARIABLE, "generic")
    assert Pool(1).kernels == "generic"
    assert Pool(1, "generic").kernels == "generic"
