"""What torch's tools and scripts do with the modules: hooks, traces, quantized layers, the codec, keywords."""

from __future__ import annotations

import copy
import io
import warnings
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
theirs = pytest.importorskip("transformers")

from openbark.compat import transformers as ours  # noqa: E402

GREEDY = {"do_sample": False, "temperature": 1.0, "semantic_max_new_tokens": 4}
IDS = torch.arange(9)[None]


def without_cache(model: Any, name: str) -> Any:
    part = copy.deepcopy(getattr(model, name))
    part.config.use_cache = False
    return part


@pytest.mark.parametrize(
    "name",
    [
        "semantic",
        "semantic.layers.0",
        "semantic.layers.0.attn",
        "semantic.drop",
        "coarse_acoustics",
        "coarse_acoustics.layers.1.mlp",
        "coarse_acoustics.lm_head",
        "fine_acoustics",
        "fine_acoustics.layers.0.attn.att_proj",
        "codec_model.decoder",
    ],
)
def test_h12_hooks_on_modules_run(model: Any, processor: Any, name: str) -> None:
    calls: list[str] = []
    module = model.get_submodule(name)
    before = module.register_forward_pre_hook(lambda *_: calls.append("before"))
    after = module.register_forward_hook(lambda *_: calls.append("after"))
    try:
        model.generate(**processor("one"), **GREEDY)
    finally:
        before.remove()
        after.remove()
    assert calls and calls.count("before") == calls.count("after")


def test_h12_a_hook_may_change_what_a_stage_computes(model: Any, processor: Any) -> None:
    """A hook that closes every token but one decides what is drawn."""

    def only_seven(module: Any, args: Any, output: Any) -> Any:
        output.logits = torch.full_like(output.logits, -1e9)
        output.logits[..., 7] = 0.0
        return output

    handle = model.semantic.register_forward_hook(only_seven)
    rules = model.generation_config.semantic_config
    try:
        drawn = model.semantic.generate(
            **processor("one"), semantic_generation_config=rules, max_new_tokens=3
        )
    finally:
        handle.remove()
    assert drawn.tolist() == [[7, 7, 7]]


def test_h8_attention_hooks_run_with_a_mask_and_with_attentions(model: Any) -> None:
    seen: list[Any] = []
    handle = model.semantic.layers[0].attn.register_forward_hook(lambda *_: seen.append(1))
    mask = torch.ones_like(IDS)
    mask[:, 0] = 0
    model.semantic(IDS, attention_mask=mask)
    model.semantic(IDS, output_attentions=True)
    handle.remove()
    assert len(seen) == 2


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning")
@pytest.mark.parametrize("name", ["semantic", "coarse_acoustics"])
def test_h8_a_trace_holds_for_other_lengths(model: Any, name: str) -> None:
    part = without_cache(model, name)
    traced = torch.jit.trace(part, (IDS,), strict=False)
    longer = torch.arange(13)[None].repeat(2, 1)
    assert torch.allclose(traced(longer)["logits"], part(longer).logits, atol=1e-6)
    part.config.return_dict = False
    as_tuple = torch.jit.trace(part, (IDS,))
    assert torch.allclose(as_tuple(longer)[0], part(longer)[0], atol=1e-6)


@pytest.mark.parametrize("name", ["semantic", "coarse_acoustics"])
@pytest.mark.parametrize("masked", [False, True])
def test_h8_export_of_the_causal_stages(model: Any, name: str, masked: bool) -> None:
    part = without_cache(model, name)
    keywords = {"attention_mask": torch.ones_like(IDS)} if masked else {}
    program = torch.export.export(part, (IDS,), keywords, strict=False).module()
    if masked:
        keywords["attention_mask"][:, 0] = 0
    output = program(IDS, **keywords)
    assert torch.allclose(output.logits, part(IDS, **keywords).logits, atol=1e-5)


def test_h11_export_of_the_fine_stage(model: Any) -> None:
    codes = torch.zeros((1, 9, 8), dtype=torch.int64)
    program = torch.export.export(model.fine_acoustics, (2, codes), strict=False).module()
    assert torch.equal(program(2, codes).logits, model.fine_acoustics(2, codes).logits)


def test_h8_outputs_are_dictionaries_tuples_and_objects(model: Any) -> None:
    output = model.semantic(IDS)
    assert isinstance(output, dict)
    assert list(output) == ["logits", "past_key_values"] and output[0] is output["logits"]
    assert output.to_tuple()[1] is output.past_key_values
    output.logits = output.logits + 1
    assert output["logits"] is output.logits
    again = copy.copy(output)
    assert again.logits is output.logits and type(again) is type(output)


def test_h19_quantized_linear_layers_generate(model: Any, processor: Any) -> None:
    """torch replaces the layers, whose weight is then a method; every stage goes on."""
    from torch.ao.quantization import quantize_dynamic

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    assert callable(small.semantic.lm_head.weight)
    assert small.generate(**processor("one"), **GREEDY).ndim == 2
    assert small.generate(**processor("one"), num_beams=2, **GREEDY).ndim == 2
    assert small.device.type == "cpu" and small.dtype == torch.float32


def codec_of_theirs(model: Any, folder: Path) -> Any:
    model.save_pretrained(folder)
    return theirs.BarkModel.from_pretrained(folder).codec_model.eval()


def test_h13_the_codec_has_their_calls_and_shapes(tmp_path: Path) -> None:
    config = ours.BarkConfig(
        codec_config={"num_filters": 2, "hidden_size": 8, "codebook_dim": 8},
        **{
            f"{stage}_config": {"num_layers": 1, "num_heads": 1, "hidden_size": 4, **sizes}
            for stage, sizes in (
                ("semantic", {}),
                ("coarse_acoustics", {"input_vocab_size": 12_096, "output_vocab_size": 12_096}),
                ("fine_acoustics", {"input_vocab_size": 1056, "output_vocab_size": 1056}),
            )
        },
    )
    config.semantic_config.input_vocab_size = 129_600
    model = ours.BarkModel(config).eval()
    for layer in model.codec_model.quantizer.layers:
        layer.codebook.embed.normal_()
    there, here = codec_of_theirs(model, tmp_path / "model"), model.codec_model
    wave = torch.randn(2, 1, 3000) * 0.1
    with torch.no_grad():
        for bandwidth in (None, 6.0, 24.0):
            codes = here.encode(wave, bandwidth=bandwidth).audio_codes
            assert torch.equal(codes, there.encode(wave, bandwidth=bandwidth).audio_codes)
        latent = here.encoder(wave)
        assert torch.allclose(latent, there.encoder(wave), atol=1e-5)
        turned = codes[0].transpose(0, 1)
        assert torch.equal(here.quantizer.encode(latent, 6.0), there.quantizer.encode(latent, 6.0))
        vectors = here.quantizer.decode(turned)
        assert torch.allclose(vectors, there.quantizer.decode(turned), atol=1e-5)
        sound = here.decoder(vectors)
        assert torch.allclose(sound, there.decoder(vectors), atol=1e-5)
        assert torch.equal(model.codec_decode(codes[0]), sound[:, 0])
        whole, expected = here(wave, bandwidth=6.0), there(wave, bandwidth=6.0)
        assert torch.allclose(whole.audio_values, expected.audio_values, atol=1e-5)
        decoded = here.decode(codes, [None])[0]
        assert torch.allclose(decoded, there.decode(codes, [None])[0], atol=1e-5)
    assert (here.device, here.dtype) == (there.device, there.dtype)
    with pytest.raises(ValueError, match=r"bandwidth is 7; allowed: 1\.5"):
        here.encode(wave, bandwidth=7)
    for shape in ((3000,), (1, 3000), (1, 2, 3000)):
        with pytest.raises(ValueError, match="allowed: \\[batch, 1, samples\\]"):
            here.encode(torch.zeros(shape))


def test_h13_the_embedded_models_codec_has_the_same_calls() -> None:
    codec = ours.BarkModel.from_pretrained("embedded").codec_model
    codes = codec.encode(torch.zeros(1, 1, 4800), bandwidth=6.0).audio_codes
    assert codes.shape == (1, 1, 8, 10)
    sound = codec.decoder(codec.quantizer.decode(codes[0].transpose(0, 1)))
    assert sound.shape == codec.decode(codes).audio_values.shape == (1, 1, 4800)


@pytest.mark.parametrize(
    "place", [{"": "cpu"}, {"semantic": "cpu", "fine_acoustics": -1}, -1, "auto"]
)
def test_h34_forms_of_device_map(folder: Path, place: Any) -> None:
    assert ours.BarkModel.from_pretrained(folder, device_map=place).device.type == "cpu"
    assert ours.BarkFineModel.from_pretrained(folder, device_map=place).device.type == "cpu"
    assert ours.pipeline("text-to-audio", str(folder), device_map=place).device.type == "cpu"


@pytest.mark.parametrize("place", [{"a": "cpu", "b": "meta"}, {}])
def test_h34_parts_on_several_devices_are_refused(folder: Path, place: Any) -> None:
    with pytest.raises(ValueError, match="one device for all parts"):
        ours.BarkModel.from_pretrained(folder, device_map=place)


@pytest.mark.parametrize("eos", [10_000, [5, 10_000], "first"])
def test_h23_eos_token_id_as_theirs(tiny_checkpoint_dir: Path, eos: Any) -> None:
    """One end token or several; "first" is one that the model draws soon."""
    models = [package.BarkModel.from_pretrained(tiny_checkpoint_dir) for package in (theirs, ours)]
    rules = ours.BarkGenerationConfig.from_pretrained(tiny_checkpoint_dir).semantic_config
    plain = {
        "semantic_generation_config": rules,
        "max_new_tokens": 8,
        "do_sample": False,
        "temperature": 1.0,
    }
    ids = torch.full((1, rules.max_input_semantic_length), 3)
    longest = models[1].semantic.generate(ids, **plain)[0]
    end = (
        int(longest[3])
        if eos == "first"
        else [n % 90 for n in eos]
        if isinstance(eos, list)
        else eos % 90
    )
    drawn = models[1].semantic.generate(ids, eos_token_id=end, **plain)
    own = theirs.models.bark.generation_configuration_bark.BarkSemanticGenerationConfig(
        **{name: value for name, value in rules.to_dict().items() if name != "model_type"}
    )
    plain["semantic_generation_config"] = own
    assert torch.equal(drawn, models[0].semantic.generate(ids, eos_token_id=end, **plain))
    if eos == "first":
        assert drawn.shape[1] <= 4


def test_h17_batch_size_and_num_workers(folder: Path) -> None:
    options = {"generate_kwargs": GREEDY}
    pipe = ours.pipeline("text-to-speech", str(folder), batch_size=2, num_workers=1, framework="pt")
    assert pipe.task == "text-to-speech"
    first = pipe(["one", "two"], batch_size=2, num_workers=0, **options)
    second = [pipe(text, **options) for text in ("one", "two")]
    for a, b in zip(first, second, strict=True):
        assert (a["audio"] == b["audio"]).all()
    parts = pipe.postprocess(pipe.forward(pipe.preprocess("one"), generate_kwargs=GREEDY))
    assert (parts["audio"] == first[0]["audio"]).all()
    for wrong in (None, 3):
        with pytest.raises(ValueError, match="allowed: a text"):
            pipe(wrong)


def test_h35_max_shard_size(model: Any, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "whole", max_shard_size="5GB")
    model.save_pretrained(tmp_path / "parts", max_shard_size="100KB")
    model.semantic.save_pretrained(tmp_path / "stage", max_shard_size=50_000)
    assert (tmp_path / "whole" / "model.safetensors").is_file()
    for name in ("parts", "stage"):
        files = sorted(path.name for path in (tmp_path / name).glob("model*"))
        assert len(files) > 2 and "model.safetensors.index.json" in files
        assert "model.safetensors" not in files
    for package in (theirs, ours):
        again = package.BarkModel.from_pretrained(tmp_path / "parts")
        table = again.semantic.input_embeds_layer.weight
        assert torch.equal(table, model.semantic.input_embeds_layer.weight)
    part = ours.BarkSemanticModel.from_pretrained(tmp_path / "stage")
    assert torch.equal(part.lm_head.weight, model.semantic.lm_head.weight)
    model.save_pretrained(tmp_path / "parts")
    assert [path.name for path in (tmp_path / "parts").glob("model*")] == ["model.safetensors"]


@pytest.mark.parametrize("size", ["5 apples", "", 0, -1, True, None, "0B"])
def test_h35_other_shard_sizes(model: Any, tmp_path: Path, size: Any) -> None:
    if size is None:
        model.save_pretrained(tmp_path, max_shard_size=None)
        return
    with pytest.raises(ValueError, match=r"max_shard_size is .*; allowed"):
        model.save_pretrained(tmp_path, max_shard_size=size)


def test_h30_keywords_of_the_tokenizer(processor: Any) -> None:
    tokenizer = processor.tokenizer
    ids = tokenizer.encode("one", add_special_tokens=False)
    assert (
        ids == tokenizer.encode("one") == tokenizer.convert_tokens_to_ids(tokenizer.tokenize("one"))
    )
    assert tokenizer.encode("one", return_tensors="pt").tolist() == [ids]
    assert len(tokenizer.encode("one", padding="max_length", max_length=12)) == 12
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == tokenizer.decode(ids)
    assert processor("one", add_special_tokens=False)["input_ids"].shape[0] == 1
    for wrong in (3, b"one", ["one", None], {"text": "one"}, []):
        with pytest.raises(ValueError, match=r"allowed: (a )?str"):
            processor(wrong)


def test_h12_a_model_can_be_copied_and_kept(model: Any, processor: Any) -> None:
    kept = io.BytesIO()
    torch.save(copy.deepcopy(model).state_dict(), kept)
    other = ours.BarkModel(model.config).eval()
    other.generation_config = model.generation_config
    other.load_state_dict(torch.load(io.BytesIO(kept.getvalue())))
    inputs = processor("one")
    assert torch.equal(other.generate(**inputs, **GREEDY), model.generate(**inputs, **GREEDY))
