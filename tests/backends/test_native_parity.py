"""The compiled engine in float32 against PyTorch: logits, every kernel variant and thread count."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from native_engine import CONFIGS, checkpoint_in_memory, needs_engine, variants
from numpy.typing import NDArray

from openbark.backends.base import Backend
from openbark.backends.native.backend import NativeBackend
from openbark.checkpoints import checkpoint_of_random_weights
from openbark.config import BarkConfig, FineGPTConfig, GPTConfig
from openbark.errors import InputError, ParamError
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt

torch = pytest.importorskip("torch")

from openbark.backends.torch.backend import TorchBackend  # noqa: E402

pytestmark = needs_engine

TOLERANCE = 2e-4


def _backends(name: str, kernels: str, threads: int) -> tuple[NativeBackend, TorchBackend]:
    checkpoint = checkpoint_in_memory(CONFIGS[name])
    native = NativeBackend.load(checkpoint, threads=threads, kernels=kernels)
    return native, TorchBackend.load(checkpoint, threads=1)


def _ids(n: int, vocabulary: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, vocabulary, n)


@pytest.mark.parametrize("kernels", variants())
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", CONFIGS)
def test_causal_logits_equal_torch(name: str, kernels: str, threads: int) -> None:
    native, reference = _backends(name, kernels, threads)
    assert isinstance(native, Backend)
    for stage, config in (
        (Stage.SEMANTIC, native.config.semantic),
        (Stage.COARSE, native.config.coarse),
    ):
        vocabulary = config.input_vocab_size
        for n in (1, 2, 17, config.block_size - 3):
            ids = _ids(n, vocabulary, n)
            summed = _ids(n // 2, vocabulary, n + 1) if stage is Stage.SEMANTIC else None
            prompt = Prompt(ids, summed)
            session, twin = native.session(stage), reference.session(stage)
            np.testing.assert_allclose(
                session.prefill(prompt), twin.prefill(prompt), atol=TOLERANCE, rtol=0
            )
            for token in _ids(3, vocabulary, 99).tolist():
                np.testing.assert_allclose(
                    session.step(token), twin.step(token), atol=TOLERANCE, rtol=0
                )


@pytest.mark.parametrize("kernels", variants())
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", CONFIGS)
def test_fine_logits_equal_torch(name: str, kernels: str, threads: int) -> None:
    native, reference = _backends(name, kernels, threads)
    config = native.config.fine
    for n in (1, 5, config.block_size):
        codes = _ids(config.n_codes_total * n, config.input_vocab_size, n).reshape(-1, n)
        for k in (1, 4, 7):
            np.testing.assert_allclose(
                native.fine_logits(codes, k),
                reference.fine_logits(codes, k),
                atol=TOLERANCE,
                rtol=0,
            )


@pytest.mark.parametrize("kernels", variants())
@pytest.mark.parametrize("name", CONFIGS)
def test_a_row_does_not_depend_on_how_it_was_read(name: str, kernels: str) -> None:
    """Prefill at once, token by token, or on top of a cached prefix: the same bits."""
    native = NativeBackend.load(checkpoint_in_memory(CONFIGS[name]), threads=2, kernels=kernels)
    config = native.config.coarse
    ids = _ids(config.block_size, config.input_vocab_size, 5)
    whole = native.session(Stage.COARSE).prefill(Prompt(ids))
    stepped = native.session(Stage.COARSE)
    logits = stepped.prefill(Prompt(ids[:3]))
    for token in ids[3:].tolist():
        logits = stepped.step(token)
    np.testing.assert_array_equal(logits, whole)
    continued = native.session(Stage.COARSE)
    continued.prefill(Prompt(ids[:40]))
    np.testing.assert_array_equal(continued.prefill(Prompt(ids)), whole)
    assert continued.n_reused == 40
    changed = ids.copy()
    changed[7] = (changed[7] + 1) % config.input_vocab_size
    fresh = native.session(Stage.COARSE).prefill(Prompt(changed))
    np.testing.assert_array_equal(continued.prefill(Prompt(changed)), fresh)
    assert continued.n_reused == 7
    assert not np.array_equal(fresh, whole)


def test_inputs_that_cannot_be_read_are_refused() -> None:
    native = NativeBackend.load(checkpoint_in_memory(CONFIGS["tiny"]), threads=1)
    config = native.config.semantic
    session = native.session(Stage.SEMANTIC)
    with pytest.raises(InputError, match="outside 0\\.\\.199"):
        session.prefill(Prompt(np.array([200])))
    with pytest.raises(InputError, match="prompt"):
        session.step(1)
    with pytest.raises(InputError, match="block_size 64"):
        session.prefill(Prompt(np.zeros(65, dtype=np.int64)))
    session.prefill(Prompt(np.zeros(config.block_size, dtype=np.int64)))
    with pytest.raises(InputError, match="block_size 64"):
        session.step(1)
    with pytest.raises(InputError, match="codebook 8"):
        native.fine_logits(np.zeros((8, 4), dtype=np.int64), 8)
    with pytest.raises(InputError, match="outside 0\\.\\.35"):
        native.fine_logits(np.full((8, 4), 36), 1)


def test_precisions_and_kernels_this_machine_lacks_are_refused() -> None:
    checkpoint = checkpoint_in_memory(CONFIGS["tiny"])
    with pytest.raises(ParamError, match="float32"):
        NativeBackend.load(checkpoint, dtype="float16")
    with pytest.raises(ParamError, match="generic"):
        NativeBackend.load(checkpoint, kernels="avx1024")
    with pytest.raises(ParamError, match="threads"):
        NativeBackend.load(checkpoint, threads=0)


@dataclass(frozen=True)
class _Expected:
    """What PyTorch computed for a prompt, for the greedy tokens after it and for a window of codes."""

    prompt: NDArray[np.int64]
    logits: list[NDArray[np.float32]]
    codes: NDArray[np.int64]
    fine: NDArray[np.float32]

    @classmethod
    def of(cls, reference: TorchBackend, n_prompt: int, n_frames: int, n_steps: int) -> _Expected:
        prompt = _ids(n_prompt, 12_096, 0)
        session = reference.session(Stage.COARSE)
        logits = [session.prefill(Prompt(prompt))]
        for _ in range(n_steps):
            logits.append(session.step(int(logits[-1].argmax())))
        codes = _ids(8 * n_frames, 1056, 1).reshape(8, n_frames)
        return cls(prompt, logits, codes, reference.fine_logits(codes, 4))

    def check(self, native: NativeBackend) -> None:
        """Logits, and greedy tokens where they are not nearly a tie."""
        session = native.session(Stage.COARSE)
        found = session.prefill(Prompt(self.prompt))
        for step, wanted in enumerate(self.logits):
            if step:
                found = session.step(int(self.logits[step - 1].argmax()))
            np.testing.assert_allclose(
                found, wanted, atol=TOLERANCE, rtol=0, err_msg=native.description
            )
            best = np.sort(wanted)[-2:]
            if best[1] - best[0] > 2 * TOLERANCE:
                assert int(found.argmax()) == int(wanted.argmax())
        fine = native.fine_logits(self.codes, 4)
        np.testing.assert_allclose(
            fine, self.fine, atol=TOLERANCE, rtol=0, err_msg=native.description
        )


@pytest.mark.slow
@pytest.mark.parametrize(("n_layer", "n_head", "n_embd"), [(12, 12, 768), (24, 16, 1024)])
def test_published_shapes_equal_torch(n_layer: int, n_head: int, n_embd: int) -> None:
    """bark-small and bark-large, the coarse stage's vocabulary, every kernel variant: logits and greedy tokens.
    The codec of these shapes is in test_native_codec. One network is in memory at a time: 5 GB for the large.
    Plain C++ reads a shorter prompt and window, past the ends of its blocks of rows and keys all the same."""
    sizes = {"n_layer": n_layer, "n_head": n_head, "n_embd": n_embd}
    config = replace(
        BarkConfig.tiny(),
        coarse=GPTConfig(1024, 12_096, 12_096, **sizes),
        fine=FineGPTConfig(1024, 1056, 1056, **sizes),
    )
    checkpoint = checkpoint_of_random_weights(config)
    reference = TorchBackend.load(checkpoint, threads=2)
    whole, short = _Expected.of(reference, 887, 1024, 24), _Expected.of(reference, 270, 130, 20)
    del reference
    for kernels in variants():
        native = NativeBackend.load(checkpoint, kernels=kernels)
        (short if kernels == "generic" else whole).check(native)
        del native
