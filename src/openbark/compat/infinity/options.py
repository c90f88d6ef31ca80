"""Bark Infinity's options (docs/migrating-infinity.md): names, types, choices and defaults, and what became of each.

Three kinds: live, live although dead upstream, and refused with a reason. Nothing is parsed and forgotten.
Booleans say what they say: `--dry_run False` is false, where upstream took any word for true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from openbark.compat.suno.defaults import Unset
from openbark.config import CoarseRules
from openbark.errors import ParamError

SPLIT_CHOICES = ("word", "line", "sentence", "string", "random", "rhyme", "pos", "regex")
"""Ways to split a text, as documented."""

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""Values of `loglevel`."""

COARSE_WINDOWS = (CoarseRules().max_history, CoarseRules().sliding_window)
"""Suno's history and window of the coarse stage, which stand for the model's own."""

_OWN_WINDOWS = "Suno's number stands for the model's own"
_FORMATS = ("wav", "mp3", "ogg", "flac")
_GROUPS = ("word", "line", "sentence", "char")


@dataclass(frozen=True, slots=True)
class Option:
    """One option. default: upstream's, None where it has none; an `Unset` stands for the checkpoint's own value. refused: why any other value than the default
    is refused; empty for options that act. documented: one of the 66 of the README, else an addition of
    upstream's later versions."""

    name: str
    kind: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    refused: str = ""
    documented: bool = True


def _later(name: str, kind: type, default: Any, help: str, refused: str = "") -> Option:
    return Option(name, kind, default, help, (), refused, documented=False)


_NO_CACHE = "the cache changes no token and is always used"
_ONE_DEVICE = "every stage computes on one device"
_NO_FUTURE = "no later segment exists yet when a segment is generated"
_WEIGHTS = tuple(
    Option(f"{stage}_{kind}_weight", float, None, text, refused=reason)
    for stage in ("semantic", "coarse", "fine")
    for kind, text, reason in (
        ("history_starting", f"Share of the base voice in the {stage} history.", ""),
        ("history_future", "No effect is possible.", _NO_FUTURE),
        ("prev_segment", f"Share of the segment before in the {stage} history.", ""),
    )
)
_STAGE_MODELS = tuple(
    item
    for stage in ("text", "coarse", "fine")
    for item in (
        Option(f"{stage}_use_gpu", bool, True, f"A GPU where there is one; {_ONE_DEVICE}."),
        Option(f"{stage}_use_small", bool, False, "The small models; all three stages or none."),
    )
)

_DOCUMENTED = (
    Option("text_prompt", str, None, "What to say."),
    Option("list_speakers", bool, False, "List the voices and stop."),
    Option("dry_run", bool, False, "Show what would be generated, and generate nothing."),
    Option("history_prompt", str, None, "Voice: a name, or the path of an .npz."),
    Option("prompt_file", str, None, "Read what to say from a UTF-8 file."),
    Option(
        "split_input_into_separate_prompts_by",
        str,
        None,
        "Make several prompts of the prompt file.",
        SPLIT_CHOICES,
    ),
    Option(
        "split_input_into_separate_prompts_by_value",
        str,
        None,
        "How many, or the string or pattern.",
    ),
    Option("always_save_speaker", bool, True, "Save each clip as a voice beside it."),
    Option("output_iterations", int, 1, "Generate everything this many times."),
    Option("output_filename", str, None, "Name of the audio file."),
    Option("output_dir", str, "bark_samples", "Folder of the audio files."),
    Option("hoarder_mode", bool, False, "Keep the files of each segment too."),
    Option("extra_stats", bool, False, "Tell tokens, stop reason and seed of each segment."),
    *_STAGE_MODELS,
    Option("codec_use_gpu", bool, True, f"A GPU where there is one; {_ONE_DEVICE}."),
    Option("force_reload", bool, False, "Load the model anew where it is loaded already."),
    Option("text_temp", float, Unset(0.7), "Semantic temperature, unless semantic_temp is given."),
    Option("waveform_temp", float, Unset(0.7), "Coarse temperature, unless coarse_temp is given."),
    Option("confused_travolta_mode", bool, False, "Ignore the end of speech: go on to the limit."),
    Option("silent", bool, False, "Say nothing on stderr."),
    Option("seed", int, None, "Of every segment; 0 or -1 draws a random one."),
    Option(
        "stable_mode_interval",
        int,
        1,
        "0: each segment follows the one before; 1: all follow the base voice; n: back to it every n.",
    ),
    Option(
        "single_starting_seed", int, None, "Of the first segment; the next take the next numbers."
    ),
    Option("split_character_goal_length", int, 110, "Segments of about this many characters."),
    Option("split_character_max_length", int, 170, "No segment is longer, words apart."),
    Option("add_silence_between_segments", float, 0.25, "Seconds after each segment."),
    Option(
        "split_each_text_prompt_by",
        str,
        None,
        "Split prompts this way instead of by length.",
        SPLIT_CHOICES,
    ),
    Option("split_each_text_prompt_by_value", str, None, "How many, or the string or pattern."),
    Option(
        "extra_confused_travolta_mode",
        int,
        None,
        "Withdrawn upstream.",
        refused="upstream withdrew it before it did anything; use confused_travolta_mode",
    ),
    *_WEIGHTS,
    Option(
        "custom_audio_processing_function",
        str,
        None,
        "Not from a command line.",
        refused="a command line cannot hand over a function; process the waveforms that generate_audio_long returns",
    ),
    Option("use_smaller_models", bool, False, "The small models."),
    Option("semantic_temp", float, Unset(0.7), "Temperature; 0 is greedy."),
    Option("semantic_top_k", int, None, "Keep the K most likely tokens."),
    Option("semantic_top_p", float, None, "Keep the likeliest tokens up to this probability."),
    Option("semantic_min_eos_p", float, Unset(0.2), "Stop once the end is this likely."),
    Option("semantic_max_gen_duration_s", float, None, "Stop a segment after this many seconds."),
    Option("semantic_allow_early_stop", bool, True, "False goes on to the limit."),
    Option("semantic_use_kv_caching", bool, True, "Always on.", refused=_NO_CACHE),
    Option("semantic_seed", int, None, "Seed of the semantic stage alone."),
    Option(
        "semantic_history_oversize_limit",
        int,
        None,
        "Most semantic tokens of a voice that are used.",
    ),
    Option("coarse_temp", float, Unset(0.7), "Temperature; 0 is greedy."),
    Option("coarse_top_k", int, None, "Keep the K most likely tokens."),
    Option("coarse_top_p", float, None, "Keep the likeliest tokens up to this probability."),
    Option(
        "coarse_max_coarse_history",
        int,
        COARSE_WINDOWS[0],
        f"Coarse tokens that a window sees; {_OWN_WINDOWS}.",
    ),
    Option(
        "coarse_sliding_window_len",
        int,
        COARSE_WINDOWS[1],
        f"Coarse tokens that a window makes; {_OWN_WINDOWS}.",
    ),
    Option("coarse_kv_caching", bool, True, "Always on.", refused=_NO_CACHE),
    Option("coarse_seed", int, None, "Seed of the coarse stage alone."),
    Option(
        "coarse_history_time_alignment_hack",
        int,
        -2,
        "Coarse tokens cut from a voice's end.",
        refused="it is a rule of the model, and upstream never read it",
    ),
    Option("fine_temp", float, Unset(0.5), "Temperature; 0 is greedy."),
    Option("fine_seed", int, None, "Seed of the fine stage alone."),
    Option(
        "render_npz_samples",
        str,
        "False",
        "Decode voices to audio and stop: a folder of .npz, or True for the model's own.",
    ),
    Option("loglevel", str, "WARNING", "How much to tell.", LOG_LEVELS),
)
_REPORT = "`openbark doctor` reports on this machine"
_LATER = (
    _later("text_splits_only", bool, False, "Show the segments and stop."),
    _later("show_generation_times", bool, False, "Tell how long each segment took."),
    Option("output_format", str, "wav", "Kind of audio file.", _FORMATS, documented=False),
    _later("prompt_text_prefix", str, None, "Put before each segment."),
    _later("prompt_text_suffix", str, None, "Put after each segment."),
    _later("separate_prompts", bool, False, "No segment follows another; the base voice for all."),
    _later("split_character_jitter", int, 0, "Vary both lengths by up to this much, from the seed."),
    Option("process_text_by_each", str, None, "Cut prompts into these ...", _GROUPS, documented=False),
    Option("group_text_by_counting", str, None, "... and count these ...", _GROUPS, documented=False),
    _later("in_groups_of_size", int, None, "... up to this many in a segment."),
    _later("split_type_string", str, None, "String or pattern of the string and regex splits."),
    _later("absolute_semantic_history_only", bool, False, "Use the voice in the semantic stage only."),
    _later("absolute_semantic_history_only_every_x", int, None, "The same, in every x-th segment."),
    _later("USE_SMALL_MODELS", bool, None, "The small models."),
    _later("OFFLOAD_CPU", bool, None, "", "stages are not moved during a run; choose a device"),
    _later("GLOBAL_ENABLE_MPS", bool, None, "", "use --device mps"),
    _later("SUNO_USE_DIRECTML", bool, False, "", "there is no DirectML backend"),
    _later("audio_file_as_history_prompt", str, None, "", "cloning is not part of this version"),
    _later("bark_speaker_as_the_prompt", str, None, "", "upstream overwrote it; use history_prompt"),
    _later("output_format_ffmpeg_parameters", str, None, "", "files are not written by ffmpeg"),
    *(
        _later(name, bool, False, "", _REPORT)
        for name in (
            "detailed_gpu_report",
            "detailed_cuda_report",
            "detailed_hugging_face_cache_report",
            "detailed_numpy_report",
            "run_numpy_benchmark",
            "show_all_reports",
        )
    ),
)  # fmt: skip

OPTIONS: tuple[Option, ...] = (*_DOCUMENTED, *_LATER)
"""All of them, the 66 documented ones first."""


_GROUP_STARTS: Mapping[str, str] = MappingProxyType(
    {
        "text_prompt": "input",
        "always_save_speaker": "output",
        "text_use_gpu": "model",
        "text_temp": "bark_model_parameters",
        "stable_mode_interval": "generating_long_clips",
        "use_smaller_models": "convenience",
        "semantic_temp": "advanced",
    }
)
"""First option of each of upstream's groups, in the documented order; the later ones are a group of ours."""


def get_default_values(group_name: str) -> dict[str, Any]:
    """Defaults of one group of options, upstream's names of groups, or "later"; none for another name (docs/parity.md I1)."""
    group, found = "", {}
    for item in OPTIONS:
        group = _GROUP_STARTS.get(item.name, group if item.documented else "later")
        if group == group_name:
            found[item.name] = item.default
    return found


def load_all_defaults(**kwargs: Any) -> dict[str, Any]:
    """The given options and the default of every other one (I1)."""
    return {item.name: item.default for item in OPTIONS} | kwargs


def option(name: str) -> Option:
    """An option by name. Raises ParamError for an unknown one."""
    for candidate in OPTIONS:
        if candidate.name == name:
            return candidate
    raise ParamError(
        f"Bark Infinity has no option {name!r}; allowed: {', '.join(item.name for item in OPTIONS)}"
    )


def resolve(given: Mapping[str, Any]) -> dict[str, Any]:
    """Every option's value: the given ones (None counts as not given), else the defaults.

    Raises ParamError for unknown names, values outside the choices, and refused options.
    """
    for name in given:
        option(name)
    values = {item.name: item.default for item in OPTIONS}
    asked = {name: value for name, value in given.items() if value is not None}
    for name, value in asked.items():
        item = option(name)
        if item.refused and value != item.default:
            raise ParamError(f"{name} is refused: {item.refused}")
        if item.choices and value not in item.choices:
            raise ParamError(f"{name} is {value!r}; allowed: {', '.join(item.choices)}")
        if item.kind is bool and not isinstance(value, bool):
            raise ParamError(f"{name} is {value!r}; allowed: True or False")
        values[name] = value
    for new, old in (("semantic_temp", "text_temp"), ("coarse_temp", "waveform_temp")):
        if isinstance(values[new], Unset):
            values[new] = values[old]
    _check_numbers(values)
    return values


def _check_numbers(values: Mapping[str, Any]) -> None:
    lowest = {
        "output_iterations": 1,
        "stable_mode_interval": 0,
        "split_character_goal_length": 1,
        "split_character_max_length": 1,
        "split_character_jitter": 0,
        "add_silence_between_segments": 0,
        "in_groups_of_size": 1,
        "absolute_semantic_history_only_every_x": 1,
        "semantic_history_oversize_limit": 1,
    }
    for name in values:
        if name.endswith("_weight"):
            lowest[name] = 0
    for name, low in lowest.items():
        if values[name] is not None and values[name] < low:
            raise ParamError(f"{name} is {values[name]}; allowed: from {low}")
    if values["split_character_goal_length"] > values["split_character_max_length"]:
        raise ParamError(
            f"split_character_goal_length {values['split_character_goal_length']} is more than "
            f"split_character_max_length {values['split_character_max_length']}"
        )
