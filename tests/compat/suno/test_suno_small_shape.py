"""Same seed, same tokens on networks of bark-small's shape: 12 layers of 768 (S30-S38, B6). Minutes: marked slow.

One stage at a time has that shape, with random weights. The other side are Suno's loops of `suno_oracle` on Suno's
networks as `bark.model` has them, cached as Suno caches them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import suno_oracle  # noqa: E402
from suno_models import any_text_tokenizer, narrow_suno, voice_arrays  # noqa: E402
from suno_oracle import Draw  # noqa: E402

from bark.model import GPT  # noqa: E402
from bark.model_fine import FineGPT  # noqa: E402
from openbark.checkpoints import open_checkpoint, random_checkpoint, save_checkpoint  # noqa: E402
from openbark.checkpoints.layouts.suno_names import to_suno  # noqa: E402
from openbark.config import BarkConfig  # noqa: E402
from openbark.params import SUNO_PARAMS  # noqa: E402

pytestmark = pytest.mark.slow

TEXT = "Hello there, this is a test."
DRAWS = [Draw(0.7), Draw(0.7, 1)]
"""Sampled, and greedy."""
IDS = ["sampled", "greedy"]


def small(stage: str) -> BarkConfig:
    """One stage of bark-small, the others narrow."""
    return replace(narrow_suno(), **{stage: getattr(BarkConfig(), stage)}, name="small")


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = small(request.param)
    tensors = random_checkpoint(config, seed=8)
    # Without it random weights end at once; what ends a clip is tested on the narrow model.
    tensors["semantic.lm_head.weight"][config.semantic_rules.eos_token] = 0.0
    path = tmp_path_factory.mktemp("small") / request.param
    return save_checkpoint(path, config, tensors, SUNO_PARAMS, any_text_tokenizer())


@pytest.fixture
def generation(
    clean_environment: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    from bark import generation as module

    monkeypatch.setenv("OPENBARK_MODEL", str(folder))
    yield module
    module.clean_models()


def network(folder: Path, stage: str, prefix: str) -> GPT | FineGPT:
    checkpoint = open_checkpoint(folder)
    made = (FineGPT if stage == "fine" else GPT)(getattr(checkpoint.config, stage))
    arrays = checkpoint.tensors(prefix)
    state = {to_suno(name): torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    if stage == "fine":
        state |= {
            f"lm_heads.{k}.weight": state[f"transformer.wtes.{k + 1}.weight"] for k in range(7)
        }
    made.load_state_dict(state)
    return made.eval()


class Cached:
    """A network asked for the logits of ever longer prompts, that reads each token once."""

    def __init__(self, gpt: GPT) -> None:
        self.gpt = gpt
        self.ids = np.zeros(0, dtype=np.int64)
        self.kv = None

    @torch.inference_mode()
    def __call__(self, ids: np.ndarray, summed: np.ndarray | None) -> np.ndarray:
        known = len(self.ids)
        if known and len(ids) == known + 1 and np.array_equal(ids[:known], self.ids):
            new = torch.from_numpy(ids[-1:])[None]
            logits, self.kv = self.gpt(new, past_kv=self.kv, use_cache=True)
        else:
            parts = [ids] if summed is None else [ids[:256], summed, ids[256:]]
            new = torch.from_numpy(np.concatenate(parts))[None]
            logits, self.kv = self.gpt(new, merge_context=summed is not None, use_cache=True)
        self.ids = ids
        return logits[0, 0].numpy()


@pytest.mark.parametrize("folder", ["semantic"], indirect=True)
@pytest.mark.parametrize("draw", DRAWS, ids=IDS)
@pytest.mark.parametrize("n_voice", [None, 300])
def test_S33_B6_semantic_tokens_of_a_seed(
    generation: ModuleType, folder: Path, draw: Draw, n_voice: int | None
) -> None:
    history = None if n_voice is None else voice_arrays(narrow_suno(), n_voice)
    past = None if history is None else history["semantic_prompt"]
    ids = generation._tokenize(generation.load_model()["tokenizer"], TEXT)
    gpt = Cached(network(folder, "semantic", "semantic."))
    torch.manual_seed(3)
    expected = suno_oracle.semantic(gpt, ids, past, draw, min_eos_p=0.2, max_seconds=1.3)
    torch.manual_seed(3)
    found = generation.generate_text_semantic(
        TEXT, history, top_k=draw.top_k, silent=True, max_gen_duration_s=1.3
    )
    assert found.tolist() == expected.tolist()
    assert len(found) == 65


@pytest.mark.parametrize("folder", ["coarse"], indirect=True)
@pytest.mark.parametrize("draw", DRAWS, ids=IDS)
@pytest.mark.parametrize("n_voice", [None, 400])
def test_S36_B6_coarse_codes_of_a_seed(
    generation: ModuleType, folder: Path, draw: Draw, n_voice: int | None
) -> None:
    """Over the border of 60 tokens, with a history that fills its 630 places."""
    history = None if n_voice is None else voice_arrays(narrow_suno(), n_voice)
    tokens = np.random.default_rng(1).integers(0, 10_000, 22)
    gpt = Cached(network(folder, "coarse", "coarse_acoustics."))
    torch.manual_seed(5)
    expected = suno_oracle.coarse(gpt, tokens, history, draw)
    torch.manual_seed(5)
    found = generation.generate_coarse(tokens, history, top_k=draw.top_k, silent=True)
    assert found.tolist() == expected.tolist()
    assert found.shape == (2, 33)


@pytest.mark.parametrize("folder", ["fine"], indirect=True)
@pytest.mark.parametrize(
    ("frames", "n_voice", "temp"),
    [(513, None, 0.5), (513, 400, None), (1025, None, None), (1025, 400, 0.5)],
)
def test_S38_B6_fine_codes_of_a_seed(
    generation: ModuleType, folder: Path, frames: int, n_voice: int | None, temp: float | None
) -> None:
    """Over the borders of 512 and 1,024 frames; the last codebook only, which costs seconds, not minutes."""
    history = None if n_voice is None else voice_arrays(narrow_suno(), n_voice)
    codes = np.random.default_rng(2).integers(0, 1024, (7, frames))
    gpt = network(folder, "fine", "fine_acoustics.")

    @torch.inference_mode()
    def logits(window: np.ndarray, k: int) -> np.ndarray:
        return gpt(k, torch.from_numpy(window.T.copy())[None])[0].numpy()

    torch.manual_seed(6)
    expected = suno_oracle.fine(logits, codes, history, temp)
    torch.manual_seed(6)
    found = generation.generate_fine(codes, history, temp)
    assert found.tolist() == expected.tolist()
