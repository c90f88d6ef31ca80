"""What `load_model`, `load_codec_model` and `models` give has the networks' interface (S15, S17, S19)."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from bark.model import GPT  # noqa: E402
from bark.model_fine import FineGPT  # noqa: E402
from openbark.backends.torch.suno_stages import SunoCodec  # noqa: E402
from openbark.errors import InputError, MissingExtraError, ParamError  # noqa: E402

GREEDY = {"top_k": 1, "silent": True}


def tokens(generation: ModuleType) -> list[list[int]]:
    semantic = generation.generate_text_semantic("One.", max_gen_duration_s=0.3, **GREEDY)
    coarse = generation.generate_coarse(semantic, **GREEDY)
    fine = generation.generate_fine(coarse, temp=None)
    return [semantic.tolist(), coarse.ravel().tolist(), fine.ravel().tolist()]


def entry(generation: ModuleType, name: str) -> Any:
    loaded = (
        generation.load_codec_model() if name == "codec" else generation.load_model(model_type=name)
    )
    assert loaded is generation.models[name]
    return loaded["model"] if name == "text" else loaded


@pytest.mark.parametrize("name", ["text", "coarse", "fine", "codec"])
def test_s15_s17_models_have_the_interface_of_networks(generation: ModuleType, name: str) -> None:
    model = entry(generation, name)
    assert model.eval() is model and model.to("cpu") is model and model.float() is model
    assert model.train() is model and model.training
    model.eval()
    assert isinstance(model.network, SunoCodec if name == "codec" else (GPT, FineGPT))
    assert next(model.parameters()).device.type == "cpu"
    assert sum(weight.numel() for weight in model.parameters()) > 0
    assert all(weight.requires_grad for weight in model.parameters())
    assert dict(model.named_modules()) and model.state_dict()
    assert model.load_state_dict(model.state_dict()).missing_keys == []
    assert name in repr(model)
    with pytest.raises(AttributeError):
        _ = model.no_such_name
    assert not hasattr(model, "__array__") and not hasattr(model, "_repr_html_")


def test_s15_networks_are_called_as_suno_calls_them(generation: ModuleType) -> None:
    text = generation.load_model(model_type="text")["model"]
    ids = torch.zeros((1, 513), dtype=torch.int64)
    logits, cache = text(ids, merge_context=True, use_cache=True)
    assert logits.shape[:2] == (1, 1) and cache[0][0].shape[2] == 257
    again, _ = text(ids[:, :1], past_kv=cache, use_cache=True)
    assert again.shape == logits.shape
    fine = generation.load_model(model_type="fine")
    assert fine(2, torch.zeros((1, 9, 8), dtype=torch.int64)).shape[:2] == (1, 9)
    assert text.config.n_layer == 1 and text.get_num_params() > 0


def test_s17_asking_for_a_network_changes_no_token(generation: ModuleType) -> None:
    before = tokens(generation)
    codes = np.array(before[2]).reshape(8, -1)
    sound = generation.codec_decode(codes)
    for name in ("text", "coarse", "fine", "codec"):
        assert "torch" in repr(entry(generation, name).eval())
    assert tokens(generation) == before
    assert np.allclose(generation.codec_decode(codes), sound, atol=1e-5)


def test_s17_what_is_loaded_into_a_network_is_what_speaks(generation: ModuleType) -> None:
    before = tokens(generation)
    text = generation.models["text"]["model"]
    state = {name: tensor.clone() for name, tensor in text.state_dict().items()}
    state["lm_head.weight"] = torch.zeros_like(state["lm_head.weight"])
    text.load_state_dict(state)
    changed = generation.generate_text_semantic("One.", max_gen_duration_s=0.3, **GREEDY)
    assert set(changed.tolist()) != set(before[0])
    fine = generation.models["fine"]
    with torch.no_grad():
        for table in fine.transformer["wtes"]:
            table.weight.zero_()
    codes = generation.generate_fine(np.array(before[1]).reshape(2, -1), temp=None)
    assert set(codes[2:].ravel().tolist()) == {0}


@pytest.mark.parametrize("name", ["text", "coarse", "fine", "codec"])
def test_s17_a_network_may_be_put_into_models(generation: ModuleType, name: str) -> None:
    """As scripts do with their own, and with what `to` and `eval` return."""
    before = tokens(generation)
    entry(generation, name)
    model = entry(generation, name).to("cpu").eval()
    for given in (model, model.network):
        if name == "text":
            tokenizer = generation.models["text"]["tokenizer"]
            generation.models["text"] = {"model": given, "tokenizer": tokenizer}
        else:
            generation.models[name] = given
        assert tokens(generation) == before
    generation.codec_decode(np.array(before[2]).reshape(8, -1))


def test_s19_a_file_s_network_as_the_text_model(generation: ModuleType, suno_files: Path) -> None:
    """`models["text"] = _load_model(path, device)`: a script's own weights of other sizes."""
    generation.preload_models()
    generation.models["text"] = generation._load_model(suno_files / "text.pt", "cpu")
    spoken = generation.generate_text_semantic("One.", max_gen_duration_s=0.1, **GREEDY)
    assert 0 < len(spoken) <= 5
    assert generation.models["text"]["model"].config.n_layer == 2


@pytest.mark.parametrize("thing", ["a name", 3, {"model": "a name"}])
def test_s17_other_things_in_models_are_refused(generation: ModuleType, thing: Any) -> None:
    generation.preload_models()
    generation.models["coarse"] = thing
    with pytest.raises(ParamError, match="load it with load_model"):
        generation.generate_coarse(np.arange(9))


def test_s17_a_network_of_another_stage_is_refused(generation: ModuleType) -> None:
    generation.preload_models()
    generation.models["fine"] = generation.models["coarse"].network
    with pytest.raises(ParamError, match="GPT is not the fine network"):
        generation.generate_fine(np.zeros((2, 9), dtype=int))


@pytest.mark.parametrize("which", ["generation", "tiny_generation"])
def test_s15_the_codec_is_called_as_encodec_is(which: str, request: pytest.FixtureRequest) -> None:
    """The calls of cloning scripts: a recording to codes, and codes to sound by the parts."""
    generation = request.getfixturevalue(which)
    codec = generation.load_codec_model(use_gpu=False)
    assert codec.sample_rate == 24_000 and codec.channels == 1
    wave = torch.randn(1, 1, 4800) * 0.1
    with torch.no_grad():
        frames = codec.encode(wave)
    codes = torch.cat([frame[0] for frame in frames], dim=-1).squeeze()
    assert codes.shape[0] <= 8 and frames[0][1] is None
    turned = codes[None].transpose(0, 1)
    out = codec.decoder(codec.quantizer.decode(turned)).detach().cpu().numpy().squeeze()
    assert np.allclose(generation.codec_decode(codes.numpy()), out, atol=1e-5)
    assert codec.decode(frames).shape == (1, 1, out.size)
    assert codec(wave).shape == wave.shape
    latent = codec.encoder(wave)
    assert torch.equal(
        codec.quantizer.encode(latent, codec.frame_rate, codec.bandwidth),
        frames[0][0].transpose(0, 1),
    )
    codec.set_target_bandwidth(codec.target_bandwidths[0])
    assert codec.encode(wave)[0][0].shape[1] <= codes.shape[0]
    with pytest.raises(ParamError, match=r"bandwidth is 7; allowed: \d"):
        codec.set_target_bandwidth(7)
    for wrong in (torch.zeros(4800), torch.zeros(1, 4800), torch.zeros(1, 2, 4800)):
        with pytest.raises(InputError, match=r"allowed: \[batch, 1, samples\]"):
            codec.encode(wrong)
    with pytest.raises(InputError, match="a list of one"):
        codec.decode(codes)
    with pytest.raises(InputError, match=r"allowed: \[codebooks, batch, frames\]"):
        codec.quantizer.decode(codes)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("text", "generate_text_semantic"),
        ("coarse", "generate_coarse"),
        ("fine", "generate_fine"),
        ("codec", "codec_decode"),
    ],
)
def test_s15_without_torch_the_error_says_what_to_use(
    generation: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str, instead: str
) -> None:
    model = entry(generation, name)
    monkeypatch.setattr("openbark.compat.suno.model.find_spec", lambda _: None)
    for use in (
        lambda: model.eval(),
        lambda: model.parameters,
        lambda: model(0),
        lambda: model.network,
    ):
        with pytest.raises(MissingExtraError, match=rf"pip install .*; without it use {instead}"):
            use()


def test_s44_a_moved_network_is_not_loaded_again(generation: ModuleType) -> None:
    fine = generation.load_model(model_type="fine")
    with torch.no_grad():
        next(fine.parameters()).fill_(0.5)
    fine.to("cpu")
    generation.preload_models()
    assert generation.models["fine"] is fine
    assert bool((next(fine.parameters()) == 0.5).all())
    generation.preload_models(force_reload=True)
    assert generation.models["fine"] is not fine
