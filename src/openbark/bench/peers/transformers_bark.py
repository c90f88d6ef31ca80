"""transformers' BarkModel in float32: the four calls that its own `generate` makes, each timed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.bark.generation_configuration_bark import BarkGenerationConfig

from openbark.bench.contestant import Round
from openbark.bench.workload import Workload, history_of, model_config, text_ids
from openbark.checkpoints.find import find_checkpoint
from openbark.config import BarkConfig, EncodecConfig
from openbark.errors import CheckpointUnsupportedError


class TransformersBark:
    """BarkModel of the transformers that is installed."""

    dtype = "float32"

    def __init__(self, workload: Workload, threads: int) -> None:
        """Load. Raises CheckpointUnsupportedError for a model that transformers does not know."""
        torch.set_num_threads(threads)
        self.description = f"transformers {transformers.__version__}, torch {torch.__version__}"
        config = model_config(workload.model)
        if not isinstance(config.codec, EncodecConfig):
            raise CheckpointUnsupportedError(
                f"transformers has no codec {config.codec.model_type!r}; compare on another --model"
            )
        self._settings, model = _model(workload, config)
        self._model = model.eval()
        self._config = config
        self._n_semantic = workload.n_semantic(config)
        voice = history_of(workload, config)
        self._history: dict[str, torch.Tensor] | None = None
        if voice is not None:
            arrays = {"semantic": voice.semantic, "coarse": voice.coarse, "fine": voice.fine}
            self._history = {
                f"{name}_prompt": torch.from_numpy(array.copy()) for name, array in arrays.items()
            }

    @torch.no_grad()
    def run(self, seed: int) -> Round:
        """One clip."""
        model, rules, history = self._model, self._config.semantic_rules, self._history
        given = torch.from_numpy(text_ids(self._config))
        ids = torch.zeros(1, rules.max_text_tokens, dtype=torch.long)
        mask = torch.zeros_like(ids)
        ids[0, : len(given)], mask[0, : len(given)] = given, 1
        settings = self._settings
        semantic_rules = settings.semantic_config
        coarse_rules = settings.coarse_acoustics_config
        fine_rules = settings.fine_acoustics_config
        torch.manual_seed(seed)
        clock = [time.perf_counter()]
        semantic = model.semantic.generate(
            ids,
            history_prompt=history,
            semantic_generation_config=semantic_rules,
            attention_mask=mask,
            max_new_tokens=self._n_semantic,
            min_new_tokens=self._n_semantic,
        )
        clock.append(time.perf_counter())
        coarse = model.coarse_acoustics.generate(
            semantic,
            history_prompt=history,
            semantic_generation_config=semantic_rules,
            coarse_generation_config=coarse_rules,
            codebook_size=settings.codebook_size,
        )
        clock.append(time.perf_counter())
        fine = model.fine_acoustics.generate(
            coarse,
            history_prompt=history,
            semantic_generation_config=semantic_rules,
            coarse_generation_config=coarse_rules,
            fine_generation_config=fine_rules,
            codebook_size=settings.codebook_size,
        )
        clock.append(time.perf_counter())
        model.codec_decode(fine)
        clock.append(time.perf_counter())
        stages = ("semantic", "coarse", "fine", "codec")
        timings = {stage: clock[i + 1] - clock[i] for i, stage in enumerate(stages)}
        return Round(timings, int(semantic.shape[-1]), int(fine.shape[-1]))


def _model(workload: Workload, config: BarkConfig) -> tuple[Any, Any]:
    """Its settings (Suno's rules are the defaults) and the model."""
    if not workload.model.startswith("shape:"):
        folder = Path(find_checkpoint(workload.model))
        found: Any = transformers.BarkModel.from_pretrained(folder)
        given = found.generation_config
        settings = BarkGenerationConfig(
            semantic_config=dict(given.semantic_config),
            coarse_acoustics_config=dict(given.coarse_acoustics_config),
            fine_acoustics_config=dict(given.fine_acoustics_config),
            codebook_size=given.codebook_size,
        )
        return settings, found
    if workload.model == "shape:tiny":
        raise CheckpointUnsupportedError("transformers runs shape:small and shape:large only")
    sizes = {
        name: {
            "num_layers": gpt.n_layer,
            "num_heads": gpt.n_head,
            "hidden_size": gpt.n_embd,
            "bias": gpt.bias,
            "input_vocab_size": gpt.input_vocab_size,
            "output_vocab_size": gpt.output_vocab_size,
        }
        for name, gpt in (
            ("semantic", config.semantic),
            ("coarse_acoustics", config.coarse),
            ("fine_acoustics", config.fine),
        )
    }
    torch.manual_seed(0)
    parts: dict[str, Any] = {f"{name}_config": values for name, values in sizes.items()}
    model = transformers.BarkModel(transformers.BarkConfig(**parts))
    return BarkGenerationConfig(), model
