"""The peer that is Suno's algorithm computes what our torch backend computes, step by step."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from openbark.backends.torch.backend import TorchBackend  # noqa: E402
from openbark.bench.peers.suno_algorithm import GrowingRow, SunoAlgorithm  # noqa: E402
from openbark.bench.workload import Workload, history_of, load_model, text_ids  # noqa: E402
from openbark.stages.sampling import Stage  # noqa: E402
from openbark.stages.semantic import semantic_prompt  # noqa: E402


@torch.inference_mode()
def test_a_growing_cache_gives_the_logits_of_a_fixed_one() -> None:
    workload = Workload("shape:tiny", 0.5)
    checkpoint = load_model(workload)
    backend = TorchBackend.load(checkpoint, threads=1)
    config = checkpoint.config
    voice = history_of(workload, config)
    assert voice is not None
    prompt = semantic_prompt(text_ids(config), voice.semantic, config.semantic_rules)
    row, session = GrowingRow(backend.causal(Stage.SEMANTIC)), backend.session(Stage.SEMANTIC)
    np.testing.assert_allclose(row.read(prompt).numpy(), session.prefill(prompt), atol=1e-5)
    for token in (3, 99, 0, 41):
        np.testing.assert_allclose(row.step(token).numpy(), session.step(token), atol=1e-5)


def test_a_clip_has_the_tokens_that_were_asked_for() -> None:
    made = SunoAlgorithm(Workload("shape:tiny", 0.5), 1).run(seed=1)
    assert made.n_semantic == 25
    assert made.n_frames == 37
    assert list(made.timings) == ["semantic", "coarse", "fine", "codec"]
