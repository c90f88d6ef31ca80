"""What the tests of Bark Infinity share: its options as documented, short runs, the command line."""

from __future__ import annotations

from typing import Any

import numpy as np
from click.testing import CliRunner, Result

from openbark.api import Bark
from openbark.cli.main import cli
from openbark.compat.infinity.generation import spoken
from openbark.voices.voice import Voice

# Every option of the usage text in upstream's README, in its order.
DOCUMENTED = """
text_prompt list_speakers dry_run history_prompt prompt_file split_input_into_separate_prompts_by
split_input_into_separate_prompts_by_value always_save_speaker output_iterations output_filename output_dir
hoarder_mode extra_stats text_use_gpu text_use_small coarse_use_gpu coarse_use_small fine_use_gpu fine_use_small
codec_use_gpu force_reload text_temp waveform_temp confused_travolta_mode silent seed stable_mode_interval
single_starting_seed split_character_goal_length split_character_max_length add_silence_between_segments
split_each_text_prompt_by split_each_text_prompt_by_value extra_confused_travolta_mode
semantic_history_starting_weight semantic_history_future_weight semantic_prev_segment_weight
coarse_history_starting_weight coarse_history_future_weight coarse_prev_segment_weight
fine_history_starting_weight fine_history_future_weight fine_prev_segment_weight custom_audio_processing_function
use_smaller_models semantic_temp semantic_top_k semantic_top_p semantic_min_eos_p semantic_max_gen_duration_s
semantic_allow_early_stop semantic_use_kv_caching semantic_seed semantic_history_oversize_limit coarse_temp
coarse_top_k coarse_top_p coarse_max_coarse_history coarse_sliding_window_len coarse_kv_caching coarse_seed
coarse_history_time_alignment_hack fine_temp fine_seed render_npz_samples loglevel
""".split()

SHORT: dict[str, Any] = {"semantic_max_gen_duration_s": 0.1, "seed": 5}
SPLIT: dict[str, Any] = {"split_character_goal_length": 8, "split_character_max_length": 12}
TEXT = "one two. three four."


def voice(seed: int = 0) -> Voice:
    codes = np.random.default_rng(seed).integers(0, 32, (8, 30))
    return Voice(np.arange(seed, seed + 20), codes[:2], codes)


def line(*words: object) -> Result:
    return CliRunner().invoke(cli, ["infinity", *map(str, words)], prog_name="openbark")


def flags(options: dict[str, Any]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


def tokens(bark: Bark, text: str = TEXT, **options: Any) -> list[list[int]]:
    """Semantic and fine tokens of each segment of a short run."""
    segments = spoken(bark, text, SHORT | SPLIT | options)
    return [
        segment.voice.semantic.tolist() + segment.voice.fine.ravel().tolist()
        for segment in segments
    ]
