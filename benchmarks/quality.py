"""Quality of the embedded model against its teacher: words, prompts, lengths, levels, speakers.

Run from the root of the repository, with the "bench" extra and the program flite installed:

    python -m benchmarks.quality [--model FOLDER] [--out FOLDER] [--reference-only]

Prints a card, then one line of JSON. The same checks go over the teacher (flite in the voice a
preset was trained on) and over the model, on the same texts:

* word error rate: pocketsphinx, vocabulary closed over the held-out sentences plus 300 other
  words, once under a bigram model of the training text and once with every word equally likely;
  errors pooled over clips, 95 % bootstrap interval over sentences.
* prompts right: 20 words or pairs of words, each to be told exactly from 120 such phrases.
* run away or stop early: sounding length above 1.6 or below 0.6 of the teacher's, stopped at a
  limit, or more than 1 s of silence at the end. Other faults: samples not finite or at full
  scale, a gap 0.5 s longer than the teacher's longest, 12 dB quieter than the teacher.
* speaker similarity: cosine of MFCC and pitch statistics in a space fitted on the teacher's
  training sentences (see speaker_similarity.py); to the teacher's voices, and to the presets'
  own prompts.
* parts (--parts): the teacher's audio through part of the model, to see where quality is lost.

Settings are chosen with --validation, which asks other sentences and other prompts.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.evaluation import Evaluation, Evaluator
from benchmarks.listening import Listener
from benchmarks.quality_card import card
from benchmarks.recogniser import load_pronunciations
from benchmarks.speaker_check import MEASURE, fit_measure
from benchmarks.spectrogram import draw_spectrograms, load_pyplot
from benchmarks.systems import PARTS, ModelSystem, System, TeacherSystem, make_part
from benchmarks.teacher import Material, prepare_material
from openbark import __version__
from openbark.api import Bark
from openbark.errors import OpenBarkError, ParamError
from openbark.params import GenerationParams, SamplingParams
from recipes.embedded.synth.sentences import load_spelling_words

__all__ = ["TARGETS", "Options", "main", "measure", "parse"]

PRESETS = ("en_0", "en_1", "en_2", "en_3")
TARGETS = {
    "wer_bigram_above_teacher": 0.08,
    "run_away_or_early_stop_rate": 0.03,
    "prompts_right": 0.95,
}
"""What the shipped model must reach: at most, at most, at least."""


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        model: checkpoint folder, or "embedded".
        n_sentences: at most the 60 of the recipe.
        presets: voices, each against its own flite voice.
        parts: further systems of `PARTS`.
        temperatures: stage -> temperature that replaces the checkpoint's own.
        dtype: precision of the model; None is float32.
        n_pictures: spectrograms per voice in `out`.
    """

    model: str = "embedded"
    n_sentences: int = 60
    presets: tuple[str, ...] = PRESETS
    seed: int = 1
    out: Path | None = None
    reference_only: bool = False
    skip_reference: bool = False
    validation: bool = False
    parts: tuple[str, ...] = ()
    temperatures: tuple[tuple[str, float], ...] = ()
    extra_metrics: bool = False
    threads: int | None = None
    dtype: str | None = None
    n_pictures: int = 2
    n_fitting: int = 40


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Options from the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.quality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    default = Options()
    add("--model", default=default.model, help="checkpoint folder (default: the embedded model)")
    add("--sentences", type=int, default=default.n_sentences, help="how many, 1 to 60")
    add("--voices", default=",".join(PRESETS), help="presets, separated by commas")
    add("--seed", type=int, default=default.seed, help="each clip's seed follows from it")
    add("--out", type=Path, help="folder for clips, transcripts and spectrograms")
    add("--reference-only", action="store_true", help="measure only the teacher")
    add(
        "--skip-reference",
        action="store_true",
        help="do not judge the teacher: for comparing settings",
    )
    add("--validation", action="store_true", help="validation sentences, to choose settings on")
    add("--parts", default="", help=f"measure parts of the model too: {', '.join(PARTS)}")
    add("--extra-metrics", action="store_true", help="STOI and PESQ of the parts")
    add("--threads", type=int, help="CPU threads of the model")
    add("--dtype", help="precision of the model: float32, bfloat16, int8, int4")
    for stage in ("semantic", "coarse", "fine"):
        add(f"--{stage}-temperature", type=float, help="instead of the checkpoint's own")
    given = parser.parse_args(arguments)
    temperatures = {s: getattr(given, f"{s}_temperature") for s in ("semantic", "coarse", "fine")}
    options = Options(
        model=given.model,
        n_sentences=given.sentences,
        presets=tuple(given.voices.split(",")),
        seed=given.seed,
        out=given.out,
        reference_only=given.reference_only,
        skip_reference=given.skip_reference,
        validation=given.validation,
        parts=tuple(name for name in given.parts.split(",") if name),
        temperatures=tuple((k, v) for k, v in temperatures.items() if v is not None),
        extra_metrics=given.extra_metrics,
        threads=given.threads,
        dtype=given.dtype,
    )
    _check(options)
    return options


def _check(options: Options) -> None:
    for name, given, allowed in (
        ("--voices", options.presets, PRESETS),
        ("--parts", options.parts, PARTS),
    ):
        unknown = sorted(set(given) - set(allowed))
        if unknown:
            raise ParamError(f"{name}: unknown {', '.join(unknown)}; allowed: {', '.join(allowed)}")
    if not 1 <= options.n_sentences <= 60:
        raise ParamError(f"--sentences is {options.n_sentences}; allowed: 1 to 60")
    if options.reference_only and (options.parts or options.skip_reference):
        raise ParamError("--parts and --skip-reference need the model; leave out --reference-only")


def measure(
    options: Options, load_bark: Callable[[Options], Bark], say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure the teacher, the model and the parts asked for; the JSON document as a dictionary."""
    started = time.perf_counter()
    if options.out is not None:
        load_pyplot()
    pronunciations = load_pronunciations()
    material = prepare_material(
        pronunciations,
        n_sentences=options.n_sentences,
        validation=options.validation,
        n_fitting=options.n_fitting,
    )
    teacher = TeacherSystem()
    systems: list[System] = [teacher]
    if not options.reference_only:
        bark = load_bark(options)
        systems.append(ModelSystem(bark, _params(options, bark)))
        systems += [make_part(name, systems) for name in options.parts]
    listener = Listener(material, pronunciations)
    fitting = {
        preset: [teacher.speak_aside(text, preset) for text in material.fitting_texts]
        for preset in options.presets
    }
    evaluator = Evaluator(
        material, listener, fit_measure(fitting), teacher, options.presets, options.seed, say
    )
    results: list[Evaluation] = []
    for system in systems[options.skip_reference :]:
        result = evaluator.evaluate(system, extra_metrics=options.extra_metrics)
        results.append(result)
        if results[0].name == teacher.name and result is not results[0]:
            evaluator.add_word_gap(result, results[0])
        if isinstance(system, ModelSystem):
            evaluator.add_likeness_to_presets(result, system)
        if options.out is not None:
            evaluator.save(result, options.out)
    if options.out is not None:
        _draw(options, material, results[:2])
    return _document(options, material, listener, systems, results, time.perf_counter() - started)


def _params(options: Options, bark: Bark) -> GenerationParams:
    """The checkpoint's defaults with the temperatures asked for."""
    defaults = bark.default_params
    changed: dict[str, SamplingParams] = {}
    for stage, temperature in options.temperatures:
        sampling: SamplingParams = getattr(defaults, stage)
        changed[stage] = replace(sampling, temperature=temperature)
    return replace(defaults, **changed)  # type: ignore[arg-type]


def _document(
    options: Options,
    material: Material,
    listener: Listener,
    systems: Sequence[System],
    results: Sequence[Evaluation],
    wall_s: float,
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "benchmark": "quality",
        "version": __version__,
        "material": {
            "set": "validation" if options.validation else "test",
            "digest": material.digest,
            "n_sentences": len(material.sentences),
            "n_words": sum(len(item.words) for item in material.sentences),
            "n_prompts": len(material.prompts),
            "n_phrases": len(material.phrases),
            "n_vocabulary": len(listener.vocabulary),
            "left_out": list(material.left_out),
            "has_spelling_list": bool(load_spelling_words()),
        },
        "presets": list(options.presets),
        "seed": options.seed,
        "speaker_measure": MEASURE,
        "systems": {result.name: result.summary for result in results},
        "wall_s": wall_s,
    }
    for system in systems:
        if isinstance(system, ModelSystem):
            document["model"] = {
                "name": system.bark.config.name,
                "path": options.model,
                "params": asdict(system.params),
            }
            document["targets"] = _targets(document["systems"][system.name])
    return document


def _targets(summary: dict[str, Any]) -> dict[str, Any]:
    found = {
        "run_away_or_early_stop_rate": summary["sentence_clips"]["run_away_or_early_stop_rate"],
        "prompts_right": summary["prompts_right"]["all"],
    }
    if "wer_above_teacher" in summary:
        gap = summary["wer_above_teacher"]["bigram"]["difference"]
        found = {"wer_bigram_above_teacher": gap, **found}
    rows: dict[str, Any] = {}
    for name, value in found.items():
        target = TARGETS[name]
        is_met = value >= target if name == "prompts_right" else value <= target
        rows[name] = {"value": value, "target": target, "met": is_met}
    own_is_best = summary["speaker_to_preset_prompts"]["own_is_best"]
    rows["own_preset_most_similar"] = {"value": own_is_best, "target": True, "met": own_is_best}
    return rows


def _draw(options: Options, material: Material, results: Sequence[Evaluation]) -> None:
    """Teacher above model: the shortest to middling sentences, which show detail."""
    assert options.out is not None
    order = sorted(range(len(material.sentences)), key=lambda i: len(material.sentences[i].text))
    picked = order[len(order) // 4 :][: options.n_pictures]
    for preset in options.presets:
        for index in picked:
            clips = {result.name: result.sentences[preset][index] for result in results}
            clips = {name: clip for name, clip in clips.items() if len(clip.waveform)}
            title = f"{preset}: {material.sentences[index].text}"
            draw_spectrograms(options.out / f"spectrogram-{preset}-{index:02d}.png", title, clips)


def _load_bark(options: Options) -> Bark:
    return Bark.load(options.model, threads=options.threads, dtype=options.dtype or "float32")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    started = time.perf_counter()

    def say(message: str) -> None:
        print(f"[{time.perf_counter() - started:6.0f} s] {message}", file=sys.stderr, flush=True)

    try:
        document = measure(parse(arguments), _load_bark, say)
    except OpenBarkError as error:
        print(f"quality: {error}", file=sys.stderr)
        return error.exit_code
    print(card(document))
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
