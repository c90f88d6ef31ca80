"""The compiled engine after `os.fork`: a child computes on threads of its own, and an idle one just ends.

Each case is a process of its own, with an alarm as a safety net: a hang would otherwise outlive the test.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from native_engine import needs_engine

from openbark.checkpoints import open_checkpoint
from openbark.errors import DeviceError
from openbark.stages.sampling import Stage

pytestmark = [
    needs_engine,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]

_START = """
import gc, multiprocessing, os, signal, sys, threading, warnings
from concurrent.futures import ProcessPoolExecutor
import numpy as np
from openbark import Bark
from openbark.errors import CancelledError
from openbark.params import GenerationParams

signal.alarm(900)  # a process that hangs ends with SIGALRM
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of fork beside threads
bark = Bark.load(sys.argv[1], backend="native", threads=2)
params = GenerationParams(max_semantic_tokens=12, allow_early_stop=False)

def speak(seed=1):
    return bark.generate("Hi.", seed=seed, params=params).waveform

def child(work):
    pid = os.fork()
    if pid:
        return pid
    signal.alarm(600)
    try:
        work()
        code = 0
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        code = 1
    os._exit(code)

def ended_well(*pids):
    for pid in pids:
        _, status = os.waitpid(pid, 0)
        assert status == 0, status

def expect():
    assert np.array_equal(speak(), expected)

expected = speak()
"""

_CASES = {
    "a child and its parent speak": """
ended_well(child(expect))
expect()
""",
    "a grandchild speaks": """
ended_well(child(lambda: (expect(), ended_well(child(expect)), expect())))
""",
    "a child ends with the interpreter": """
pid = os.fork()
if pid == 0:
    signal.alarm(600)
    sys.exit(0)
ended_well(pid)
""",
    "a child deletes the model": """
def forget():
    global bark
    del bark
    gc.collect()
ended_well(child(forget))
""",
    "workers of a prefork server use several threads": """
def serve():
    found = []
    threads = [threading.Thread(target=lambda: found.append(speak())) for _ in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert len(found) == 3 and all(np.array_equal(each, expected) for each in found)
ended_well(*[child(serve) for _ in range(3)])
""",
    "multiprocessing.Pool": """
with multiprocessing.get_context("fork").Pool(2) as pool:
    found = pool.map(speak, [1, 1, 1])
assert all(np.array_equal(each, expected) for each in found)
""",
    "ProcessPoolExecutor": """
with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
    found = list(pool.map(speak, [1, 1, 1]))
assert all(np.array_equal(each, expected) for each in found)
""",
    "a fork while another thread computes": """
busy, stop = threading.Event(), threading.Event()
def keep_speaking():
    while not stop.is_set():
        speak(2)
        busy.set()
thread = threading.Thread(target=keep_speaking)
thread.start()
busy.wait()
for _ in range(4):
    ended_well(child(expect))
stop.set()
thread.join()
expect()
""",
    "a fork while the engine has a thread and requests": """
started = threading.Event()
def progress(*_):
    started.set()
handle = bark.engine.submit(bark.request("Hi.", seed=3, params=params, progress=progress))
others = [bark.engine.submit(bark.request("Hi.", seed=n, params=params)) for n in range(3)]
bark.engine.start()
started.wait()
def use():
    assert bark.engine.stats.running == bark.engine.stats.queued == 0
    for other in others:
        try:
            other.result()
        except CancelledError as error:
            assert "fork" in str(error)
    expect()
    assert np.array_equal(np.concatenate(list(bark.stream("Hi.", seed=1, params=params))), expected)
    bark.engine.start()
    again = bark.engine.submit(bark.request("Hi.", seed=1, params=params))
    assert np.array_equal(again.result().waveform, expected)
    bark.engine.close()
ended_well(child(use))
for other in (handle, *others):
    other.result()
""",
    "a lock that another thread holds": """
from openbark.forks import ForkSafeLock
lock, held, leave = ForkSafeLock(), threading.Event(), threading.Event()
def hold():
    with lock:
        held.set()
        leave.wait()
thread = threading.Thread(target=hold)
thread.start()
held.wait()
def take():
    with lock: pass
    with lock: pass
ended_well(child(take))
leave.set()
thread.join()
with lock:
    pid = os.fork()
    if pid == 0:
        signal.alarm(600)
if pid == 0:
    take()
    os._exit(0)
ended_well(pid)
take()
""",
    "a fork between load and the first word": """
bark = Bark.load(sys.argv[1], backend="native", threads=2)
ended_well(child(expect), child(expect))
expect()
""",
}


@pytest.mark.parametrize("case", _CASES)
def test_the_engine_works_in_the_child_of_a_fork(case: str, tiny_checkpoint_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _START + _CASES[case], str(tiny_checkpoint_dir)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


_TORCH = """
bark = Bark.load(sys.argv[1], backend="torch", threads=2)
expected = speak()
def use():
    assert speak().shape == expected.shape
    assert bark.backend.description.endswith("1 threads")
ended_well(child(use))
"""


def test_the_torch_backend_works_in_the_child_of_a_fork(tiny_checkpoint_dir: Path) -> None:
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, "-c", _START + _TORCH, str(tiny_checkpoint_dir)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_network_on_another_device_is_refused_in_the_child(tiny_checkpoint_dir: Path) -> None:
    torch = pytest.importorskip("torch")
    from openbark.backends.torch.backend import TorchBackend

    checkpoint = open_checkpoint(tiny_checkpoint_dir)
    backend = TorchBackend.load(checkpoint)
    threads = torch.get_num_threads()
    try:
        backend.after_fork()
    finally:
        torch.set_num_threads(threads)
    backend.session(Stage.SEMANTIC)
    backend.to("meta")
    with pytest.raises(DeviceError, match=r"child of a fork.*spawn"):
        backend.session(Stage.SEMANTIC)
    with pytest.raises(DeviceError, match="load it in the child"):
        backend.codec_decode(np.zeros((2, 3), dtype=np.int64))
