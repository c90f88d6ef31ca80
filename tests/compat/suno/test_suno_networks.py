"""`bark.model` and `bark.model_fine`: the networks of Suno's files as torch modules (S20-S23, C1)."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from bark.model import GPT, GPTConfig  # noqa: E402
from bark.model_fine import FineGPT, FineGPTConfig  # noqa: E402
from openbark.backends.torch.backend import TorchBackend  # noqa: E402
from openbark.checkpoints import open_checkpoint  # noqa: E402
from openbark.checkpoints.formats.tensor_writer import TensorEntry, write_torch_file  # noqa: E402
from openbark.checkpoints.layouts.suno_folder import SunoFile, read_suno_file  # noqa: E402
from openbark.errors import (  # noqa: E402
    CheckpointCorruptError,
    CheckpointNotFoundError,
    ParamError,
)
from openbark.stages.sampling import Stage  # noqa: E402
from openbark.stages.semantic import Prompt  # noqa: E402


@pytest.fixture
def gpt() -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(600, 80, 70, n_layer=2, n_head=2, n_embd=16)).eval()


@pytest.fixture
def fine_gpt() -> FineGPT:
    torch.manual_seed(0)
    return FineGPT(FineGPTConfig(24, 30, 30, n_layer=2, n_head=2, n_embd=16, bias=False)).eval()


@pytest.mark.parametrize(
    ("sizes", "total", "non_embedding"),
    [
        (GPTConfig(1024, 129_600, 10_048, bias=False), 193.0, 92.7),
        (GPTConfig(1024, 12_096, 12_096, bias=False), 104.3, 94.2),
        (FineGPTConfig(1024, 1056, 1056, bias=False), 92.2, 85.0),
        (GPTConfig(1024, 129_600, 10_048, 24, 16, 1024, bias=False), 446.1, 312.3),
        (GPTConfig(1024, 12_096, 12_096, 24, 16, 1024, bias=False), 327.9, 314.4),
        (FineGPTConfig(1024, 1056, 1056, 24, 16, 1024, bias=False), 311.8, 302.1),
    ],
)
def test_S23_the_numbers_of_weights_of_the_published_models(
    sizes: GPTConfig, total: float, non_embedding: float
) -> None:
    with torch.device("meta"):
        network = FineGPT(sizes) if isinstance(sizes, FineGPTConfig) else GPT(sizes)
    assert round(network.get_num_params(non_embedding=False) / 1e6, 1) == total
    assert round(network.get_num_params() / 1e6, 1) == non_embedding


def test_S21_only_the_last_position_has_logits(gpt: GPT) -> None:
    ids = torch.randint(0, 80, (2, 9))
    logits, kv = gpt(ids)
    assert logits.shape == (2, 1, 70)
    assert kv is None


def test_S21_the_cache_changes_nothing(gpt: GPT) -> None:
    ids = torch.randint(0, 80, (2, 12))
    _, past = gpt(ids[:, :9], use_cache=True)
    assert [part.shape for part in past[1]] == [(2, 2, 9, 8)] * 2
    before = past
    kept = [part.clone() for part in past[1]]
    for stop in (10, 11, 12):
        logits, past = gpt(ids[:, stop - 1 : stop], past_kv=past, use_cache=True)
        assert torch.allclose(logits, gpt(ids[:, :stop])[0], atol=1e-5)
    assert all(torch.equal(*pair) for pair in zip(before[1], kept, strict=True))
    again, none = gpt(ids[:, 9:10], past_kv=before)
    assert none is None
    assert torch.allclose(again, gpt(ids[:, :10])[0], atol=1e-5)


def test_S21_merged_context_takes_257_positions(gpt: GPT) -> None:
    ids = torch.randint(0, 80, (1, 513))
    logits, past = gpt(ids, merge_context=True, use_cache=True)
    assert past[0][0].shape[2] == 257
    summed = torch.cat([ids[:, 256:512], ids[:, :256], ids[:, 512:]], dim=1)
    assert torch.allclose(gpt(summed, merge_context=True)[0], logits, atol=1e-6)
    step, _ = gpt(ids[:, :1], merge_context=True, past_kv=past, use_cache=True)
    whole = gpt(torch.cat([ids, ids[:, :1]], dim=1), merge_context=True)[0]
    assert torch.allclose(step, whole, atol=1e-5)


def test_S21_positions_may_be_given(gpt: GPT) -> None:
    ids = torch.randint(0, 80, (1, 4))
    places = torch.arange(4)[None]
    assert torch.equal(gpt(ids, position_ids=places)[0], gpt(ids)[0])
    assert not torch.equal(gpt(ids, position_ids=places + 7)[0], gpt(ids)[0])


def test_S21_lengths_are_checked(gpt: GPT) -> None:
    ids = torch.zeros(1, 512, dtype=torch.long)
    _, past = gpt(ids[:, :3], use_cache=True)
    with pytest.raises(ParamError, match="one id for each row, has 2"):
        gpt(ids[:, :2], past_kv=past)
    with pytest.raises(ParamError, match="more than 512 ids, has 512"):
        gpt(ids, merge_context=True)
    with pytest.raises(ParamError, match=r"601 positions; allowed: 1\.\.600"):
        gpt(torch.zeros(1, 601, dtype=torch.long))


def test_S22_codebooks_up_to_the_predicted_one_are_read(fine_gpt: FineGPT) -> None:
    codes = torch.randint(0, 24, (1, 10, 8))
    logits = fine_gpt(3, codes)
    assert logits.shape == (1, 10, 30)
    later, own = codes.clone(), codes.clone()
    later[:, :, 4:] = 0
    own[:, :, 3] = 24
    assert torch.equal(fine_gpt(3, later), logits)
    assert not torch.equal(fine_gpt(3, own), logits)
    backwards = fine_gpt(3, codes.flip(1))
    assert not torch.allclose(backwards.flip(1), logits), "positions count"


def test_S22_heads_are_tied_and_norms_have_a_bias(fine_gpt: FineGPT) -> None:
    for k in range(7):
        assert fine_gpt.lm_heads[k].weight is fine_gpt.transformer.wtes[k + 1].weight
    names = set(fine_gpt.state_dict())
    assert {"transformer.h.1.ln_2.bias", "transformer.ln_f.bias", "lm_heads.6.weight"} <= names
    assert "transformer.h.0.attn.c_attn.bias" not in names


@pytest.mark.parametrize("k", [0, 8, -1])
def test_S22_a_given_codebook_is_refused(fine_gpt: FineGPT, k: int) -> None:
    with pytest.raises(ParamError, match=rf"pred_idx is {k}; allowed: 1\.\.7"):
        fine_gpt(k, torch.zeros(1, 4, 8, dtype=torch.long))
    with pytest.raises(ParamError, match=r"idx has shape \[1, 8, 4\]"):
        fine_gpt(1, torch.zeros(1, 8, 4, dtype=torch.long))


def test_S21_S22_copies_stand_alone(gpt: GPT, fine_gpt: FineGPT) -> None:
    """The blocks compute with the layers that the names reach, in a copy too."""
    for network, call in ((gpt, (torch.ones(1, 4, dtype=torch.long),)), (fine_gpt, None)):
        args = call or (2, torch.ones(1, 4, 8, dtype=torch.long))
        stored = io.BytesIO()
        torch.save(network, stored)
        stored.seek(0)
        other = torch.load(stored, weights_only=False)
        before = network(*args)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.zero_()
        after, zeros = network(*args), other(*args)
        if network is gpt:
            before, after, zeros = before[0], after[0], zeros[0]
        assert torch.equal(before, after)
        assert not zeros.any()
        assert network.train()._blocks[0].training
        assert not network.eval()._blocks[0].training


@pytest.mark.parametrize("stage", ["text", "coarse"])
def test_S21_C1_logits_are_the_backend_s(
    generation: ModuleType, suno_files: Path, stage: str
) -> None:
    backend = TorchBackend.load(open_checkpoint(suno_files / "text.pt"), threads=1)
    network = generation._load_model(str(suno_files / f"{stage}.pt"), "cpu", model_type=stage)
    ids = np.random.default_rng(1).integers(0, 10_000, 300)
    if stage == "text":
        assert set(network) == {"model", "tokenizer"}
        network, summed = network["model"], ids[::-1][:256].copy()
        given = np.concatenate([ids[:256], summed, ids[256:]])
        expected = backend.causal_logits(Stage.SEMANTIC, Prompt(ids, summed))
    else:
        given, expected = ids, backend.causal_logits(Stage.COARSE, Prompt(ids))
    with torch.inference_mode():
        found, _ = network(torch.from_numpy(given)[None], merge_context=stage == "text")
    assert np.allclose(found[0, 0].numpy(), expected, atol=1e-5)
    assert sorted(asdict(GPTConfig())) == sorted(
        name for name in dir(network.config) if name in asdict(GPTConfig())
    )


def trained(network: FineGPT, codes: torch.Tensor) -> FineGPT:
    """A step of training at a rate that shows."""
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for k in (1, 5):
        logits = network(k, codes)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), codes[:, :, k].flatten())
        loss.backward()
    optimizer.step()
    return network.eval()


@pytest.mark.parametrize("writer", ["ours", "torch"])
def test_S22_C1_a_trained_network_goes_back_into_a_file(
    generation: ModuleType, suno_files: Path, tmp_path: Path, writer: str
) -> None:
    """Train what Suno's file holds, write it as a `.pt`, and Bark.load's readers compute the same."""
    network = generation._load_model(str(suno_files / "fine.pt"), "cpu", model_type="fine")
    codes = torch.randint(0, 1024, (1, 40, 8))
    before = network(6, codes)
    trained(network, codes)
    content = {"model_args": asdict(FineGPTConfig(1024, 1056, 1056, 2, 2, 8, bias=False))}
    state = network.state_dict()
    for name in ("text.pt", "coarse.pt", "encodec_24khz.th", "tokenizer.json"):
        (tmp_path / name).hardlink_to(suno_files / name)
    if writer == "torch":
        torch.save(content | {"model": state, "best_val_loss": 1.0}, tmp_path / "fine.pt")
    else:
        entries = {
            name: TensorEntry(name, "F32", tuple(value.shape), value.detach().numpy)
            for name, value in state.items()
        }
        write_torch_file(tmp_path / "fine.pt", content | {"model": entries})
    item = read_suno_file(tmp_path / "fine.pt")
    assert isinstance(item, SunoFile)
    backend = TorchBackend.load(open_checkpoint(tmp_path), threads=1)
    with torch.inference_mode():
        expected = network(6, codes)[0].numpy()
    found = backend.fine_logits(codes[0].T.numpy(), 6)
    assert np.allclose(found, expected, atol=1e-5)
    assert not np.allclose(found, before[0].detach().numpy(), atol=1e-2)


def test_S19_load_model_checks_what_it_is_given(
    generation: ModuleType, suno_files: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointNotFoundError, match="holds Suno's coarse model, not the text"):
        generation._load_model(str(suno_files / "coarse.pt"), "cpu")
    with pytest.raises(CheckpointNotFoundError, match=r"no\.pt"):
        generation._load_model(str(tmp_path / "no.pt"), "cpu")
    state = GPT(GPTConfig(8, 12_096, 12_096, 1, 1, 4)).state_dict()
    del state["lm_head.weight"]
    args = asdict(GPTConfig(8, 12_096, 12_096, 1, 1, 4))
    torch.save({"model": state, "model_args": args}, tmp_path / "half.pt")
    with pytest.raises(CheckpointCorruptError, match=r"half\.pt.*lm_head"):
        generation._load_model(str(tmp_path / "half.pt"), "cpu", model_type="coarse")
