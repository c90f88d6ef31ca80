"""The names of transformers' Bark: change the import line, keep the script (docs/parity.md H1-H37).

`from openbark.compat.transformers import AutoProcessor, BarkModel, pipeline`. Needs torch, never transformers.
The generation rules are theirs, token for token (B1-B12); what is mended, and what is left out, is in
docs/migrating-transformers.md.
"""

from __future__ import annotations

from openbark.compat.transformers.batches import BatchEncoding, BatchFeature
from openbark.compat.transformers.configuration import (
    AutoConfig,
    BarkCoarseConfig,
    BarkConfig,
    BarkFineConfig,
    BarkSemanticConfig,
    BarkSubModelConfig,
)
from openbark.compat.transformers.generation_configuration import (
    BarkCoarseGenerationConfig,
    BarkFineGenerationConfig,
    BarkGenerationConfig,
    BarkSemanticGenerationConfig,
    GenerationConfig,
)
from openbark.compat.transformers.modeling_bark import (
    AutoModel,
    AutoModelForTextToWaveform,
    BarkModel,
)
from openbark.compat.transformers.modeling_base import BarkPreTrainedModel
from openbark.compat.transformers.modeling_causal import (
    BarkCausalModel,
    BarkCoarseModel,
    BarkSemanticModel,
)
from openbark.compat.transformers.modeling_fine import BarkFineModel
from openbark.compat.transformers.pipelines import TextToAudioPipeline, pipeline, set_seed
from openbark.compat.transformers.processing import AutoProcessor, BarkProcessor
from openbark.compat.transformers.tokenization import AutoTokenizer, BarkTokenizer

__all__ = [
    "AutoConfig",
    "AutoModel",
    "AutoModelForTextToWaveform",
    "AutoProcessor",
    "AutoTokenizer",
    "BarkCausalModel",
    "BarkCoarseConfig",
    "BarkCoarseGenerationConfig",
    "BarkCoarseModel",
    "BarkConfig",
    "BarkFineConfig",
    "BarkFineGenerationConfig",
    "BarkFineModel",
    "BarkGenerationConfig",
    "BarkModel",
    "BarkPreTrainedModel",
    "BarkProcessor",
    "BarkSemanticConfig",
    "BarkSemanticGenerationConfig",
    "BarkSemanticModel",
    "BarkSubModelConfig",
    "BarkTokenizer",
    "BatchEncoding",
    "BatchFeature",
    "GenerationConfig",
    "TextToAudioPipeline",
    "pipeline",
    "set_seed",
]
