"""Every public attribute of transformers' objects is here with its value, or on the list of reasons (H1-H18)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import transformers_gaps as gaps

torch = pytest.importorskip("torch")
theirs = pytest.importorskip("transformers")

from transformers.models.bark import generation_configuration_bark as their_rules  # noqa: E402

from openbark.compat import transformers as ours  # noqa: E402

SMALL = {
    "num_layers": 1,
    "num_heads": 2,
    "hidden_size": 8,
    "input_vocab_size": 100,
    "output_vocab_size": 100,
    "block_size": 64,
}
CONFIGS = ("BarkConfig", "BarkSemanticConfig", "BarkCoarseConfig", "BarkFineConfig")
RULES = (
    "GenerationConfig",
    "BarkGenerationConfig",
    "BarkSemanticGenerationConfig",
    "BarkCoarseGenerationConfig",
    "BarkFineGenerationConfig",
)
PARTS = ("", "semantic", "coarse_acoustics", "fine_acoustics", "codec_model")


def small_model(package: Any) -> Any:
    names = ("semantic_config", "coarse_acoustics_config", "fine_acoustics_config")
    return package.BarkModel(package.BarkConfig(**{name: SMALL for name in names}))


def part(model: Any, name: str) -> Any:
    return getattr(model, name) if name else model


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def missing(there: object, here: object, explained: Mapping[str, str]) -> list[str]:
    known = {name for names in explained.values() for name in names.split()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sorted(
            name
            for name in public(there) - known
            if hasattr(there, name) and not hasattr(here, name)
        )


def plain(value: object) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))


def different(there: object, here: object) -> dict[str, tuple[object, object]]:
    """Plain values of both that are not the same."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in sorted(public(there)):
            if not hasattr(there, name) or not hasattr(here, name):
                continue
            values = (getattr(there, name), getattr(here, name))
            if plain(values[0]) and values[0] != values[1]:
                found[name] = values
    return found


@pytest.mark.parametrize("name", CONFIGS)
def test_h1_h2_h3_every_attribute_of_the_configs(name: str) -> None:
    there, here = getattr(theirs, name)(), getattr(ours, name)()
    assert missing(there, here, gaps.CONFIGS) == []
    assert different(there, here) == {}


@pytest.mark.parametrize("name", RULES)
def test_h4_h5_h6_h7_every_attribute_of_the_generation_configs(name: str) -> None:
    package = theirs if name == "GenerationConfig" else their_rules
    there, here = getattr(package, name)(), getattr(ours, name)()
    assert missing(there, here, gaps.GENERATION_CONFIGS) == []
    assert different(there, here) == {}


@pytest.mark.parametrize("name", PARTS)
def test_h8_h11_h12_every_attribute_of_the_models(name: str) -> None:
    there, here = part(small_model(theirs), name), part(small_model(ours), name)
    further = {"": gaps.WHOLE_MODEL, "codec_model": gaps.CODEC}.get(name, {})
    assert missing(there, here, gaps.MODELS | further) == []
    assert different(there, here) == {}


def test_h30_h36_every_attribute_of_the_processor(processor: Any, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n")
    tokenizer = theirs.BertTokenizerFast(str(tmp_path / "vocab.txt"))
    tokenizer.save_pretrained(tmp_path)
    there = theirs.BarkProcessor(tokenizer)
    here = ours.BarkProcessor.from_pretrained(tmp_path)
    assert missing(there, here, gaps.PROCESSORS) == []
    for name in ("pad", "unk", "sep", "cls", "mask", "bos", "eos"):
        for end in ("token", "token_id"):
            attribute = f"{name}_{end}"
            assert getattr(here.tokenizer, attribute) == getattr(tokenizer, attribute), attribute
    assert set(here.tokenizer.all_special_ids) == set(tokenizer.all_special_ids)
    assert here.tokenizer.special_tokens_map == tokenizer.special_tokens_map
    assert not missing(
        theirs.TextToAudioPipeline(model=small_model(theirs), tokenizer=tokenizer),
        ours.TextToAudioPipeline(small_model(ours), here),
        gaps.PIPELINES,
    )


def test_no_reason_is_given_for_what_is_here() -> None:
    here = small_model(ours)
    pairs = [
        (ours.BarkConfig(), gaps.CONFIGS),
        (ours.BarkGenerationConfig(), gaps.GENERATION_CONFIGS),
    ]
    pairs += [(part(here, name), gaps.MODELS) for name in PARTS]
    for thing, explained in pairs:
        names = {name for group in explained.values() for name in group.split()}
        assert not {name for name in names if name in public(thing)}, type(thing)


def test_h3_name_and_dtype_are_known_after_loading(folder: Path) -> None:
    for model in (
        ours.BarkModel.from_pretrained(folder),
        ours.BarkFineModel.from_pretrained(folder),
    ):
        assert model.config.name_or_path == model.name_or_path == str(folder)
        assert model.config.dtype is model.config.torch_dtype is torch.float32
        saved = model.config.to_dict()
        assert saved["dtype"] == "float32" and "name_or_path" not in saved
    assert ours.BarkConfig.from_pretrained(folder).name_or_path == str(folder)
    values, rest = ours.BarkConfig.get_config_dict(folder)
    assert values["model_type"] == "bark" and rest == {}


def test_h1_setting_an_open_attribute_counts() -> None:
    config = ours.BarkSemanticConfig()
    config.torch_dtype = torch.float16
    config.use_return_dict = False
    assert config.dtype is torch.float16 and config.return_dict is False
    assert config.to_dict()["dtype"] == "float16"
    config.update_from_string("dropout=0.5,bias=false,num_layers=3")
    assert (config.dropout, config.bias, config.num_hidden_layers) == (0.5, False, 3)
    with pytest.raises(ValueError, match="allowed: int"):
        config.update_from_string("num_layers=three")
    with pytest.raises(AttributeError, match="has no 'numlayers'"):
        _ = config.numlayers


@pytest.mark.parametrize("defaults_only", [False, True])
@pytest.mark.parametrize("allow_custom_entries", [False, True])
def test_h4_update_as_theirs(defaults_only: bool, allow_custom_entries: bool) -> None:
    """`generation_config.update(...)` sets what there is and returns the rest."""
    values = {"temperature": 0.5, "top_k": 7, "something": 1}
    results = []
    for package in (their_rules, ours):
        config = package.BarkSemanticGenerationConfig()
        rest = config.update(
            defaults_only=defaults_only, allow_custom_entries=allow_custom_entries, **values
        )
        results.append((rest, config.temperature, config.top_k, getattr(config, "something", None)))
    assert results[0] == results[1]


def test_h23_options_that_bark_has_not_are_refused_wherever_they_are_set(
    model: Any, processor: Any
) -> None:
    neutral = {"guidance_scale": 1.0, "num_beam_groups": 1, "penalty_alpha": None}
    inputs = processor("one")
    model.generate(**inputs, semantic_max_new_tokens=2, do_sample=False, **neutral)
    with pytest.raises(ValueError, match=r"guidance_scale.*no negative prompt"):
        model.generate(**inputs, guidance_scale=3.0)
    rules = ours.BarkSemanticGenerationConfig()
    rules.penalty_alpha = 0.6
    with pytest.raises(ValueError, match="penalty_alpha"):
        rules.validate()
