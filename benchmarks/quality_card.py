"""The card of the quality benchmark: its JSON document as tables for people (Markdown)."""

from __future__ import annotations

from typing import Any

from benchmarks.teacher import teacher_of

__all__ = ["card"]


def card(document: dict[str, Any]) -> str:
    """Markdown tables of a document of `benchmarks.quality`."""
    material, systems = document["material"], document["systems"]
    presets: list[str] = document["presets"]
    title = (
        f"OpenBark {document['version']} quality: {material['n_sentences']} {material['set']}"
        f" sentences ({material['n_words']} words) and {material['n_prompts']} prompts,"
        f" {len(presets)} voices, seed {document['seed']}, material {material['digest']}"
    )
    parts = [title]
    if "model" in document:
        model = document["model"]
        stages = ("semantic", "coarse", "fine")
        heat = ", ".join(f"{stage} {model['params'][stage]['temperature']}" for stage in stages)
        parts.append(f"model {model['name']} ({model['path']}), temperatures: {heat}")
    if material["left_out"]:
        parts.append(f"left out, a word has no pronunciation: {material['left_out']}")
    parts += [_words_table(systems, presets), _clips_table(systems), _speaker_table(systems)]
    if "targets" in document:
        parts.append(_targets_table(document["targets"]))
    return "\n\n".join(parts)


def _table(header: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: list[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, rows)])


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _interval(cell: dict[str, float]) -> str:
    return f"{_percent(cell['rate'])} ({_percent(cell['low'])}-{_percent(cell['high'])})"


def _words_table(systems: dict[str, Any], presets: list[str]) -> str:
    rows: list[list[str]] = []
    for model, label in (("bigram", "WER %, bigram"), ("unigram", "WER %, flat unigram")):
        for voice in ("all", *presets):
            name = label if voice == "all" else f"  {voice} ({teacher_of(voice)})"
            rows.append([name, *(_interval(s["wer"][model][voice]) for s in systems.values())])
        gaps = [s.get("wer_above_teacher", {}).get(model) for s in systems.values()]
        if any(gaps):
            texts = [
                f"{_percent(g['difference'])} ({_percent(g['low'])} to {_percent(g['high'])})"
                if g
                else ""
                for g in gaps
            ]
            rows.append(["  points above the teacher", *texts])
    for voice in ("all", *presets):
        name = "prompts right %" if voice == "all" else f"  {voice} ({teacher_of(voice)})"
        rows.append([name, *(_percent(s["prompts_right"][voice]) for s in systems.values())])
    return _table(["words heard (95 % interval)", *systems], rows)


def _clips_table(systems: dict[str, Any]) -> str:
    rows: list[list[str]] = []
    for key, label in (("sentence_clips", "sentences"), ("prompt_clips", "prompts")):
        clips = [system[key] for system in systems.values()]
        rows += [
            [f"{label}: length over teacher's, mean (sd)"]
            + [f"{c['duration_ratio_mean']:.3f} ({c['duration_ratio_sd']:.3f})" for c in clips],
            [f"{label}: run away or stop early %"]
            + [_percent(c["run_away_or_early_stop_rate"]) for c in clips],
            [f"{label}: any fault %"] + [_percent(c["bad_clip_rate"]) for c in clips],
            [f"{label}: faults"]
            + [", ".join(f"{n} {k}" for k, n in c["problems"].items()) or "none" for c in clips],
            [f"{label}: peak, most clipped samples %"]
            + [f"{c['peak_highest']:.2f}, {_percent(c['clipped_share_highest'])}" for c in clips],
            [f"{label}: silence before, after, s"]
            + [f"{c['leading_s_mean']:.2f}, {c['trailing_s_mean']:.2f}" for c in clips],
            [f"{label}: level to teacher's dB, mean, lowest"]
            + [f"{c['level_db_mean']:.1f}, {c['level_db_lowest']:.1f}" for c in clips],
        ]
    rows.append(
        ["wall seconds per audio second"] + [f"{s['speed']['rtf']:.2f}" for s in systems.values()]
    )
    originals = [s.get("against_original") for s in systems.values()]
    for key, label in (("mel_l1", "mel L1"), ("stoi", "STOI"), ("pesq_wb", "PESQ-wb")):
        if any(o and key in o for o in originals):
            cells = [f"{o[key]:.3f}" if o and key in o else "" for o in originals]
            rows.append([f"{label} to the teacher's clip", *cells])
    return _table(["clips", *systems], rows)


def _speaker_table(systems: dict[str, Any]) -> str:
    rows: list[list[str]] = []
    columns: list[str] = []
    for name, system in systems.items():
        for key, against in (
            ("speaker", "teacher"),
            ("speaker_to_preset_prompts", "preset prompt"),
        ):
            if key not in system:
                continue
            found = system[key]
            columns = list(found["matrix"])
            for preset, row in found["matrix"].items():
                cells = [f"{row[column]:.2f}" for column in columns]
                rows.append([f"{name} {preset} to {against}", *cells, ""])
            summary = f"identified {_percent(found['identified'])} %"
            rows[-1][-1] = summary + ("" if found["own_is_best"] else ", own is NOT best")
    return _table(["speaker similarity (cosine)", *columns, ""], rows)


def _targets_table(targets: dict[str, Any]) -> str:
    rows = [
        [
            name.replace("_", " "),
            _value(row["value"]),
            _value(row["target"]),
            "met" if row["met"] else "NOT MET",
        ]
        for name, row in targets.items()
    ]
    return _table(["target", "found", "wanted", ""], rows)


def _value(value: float | bool) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else f"{_percent(value)} %"
