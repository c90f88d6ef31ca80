"""`openbark train embedded` and `openbark train teach`. Heavy imports happen inside the commands."""

from __future__ import annotations

from pathlib import Path

import click

from recipes.embedded import PRESETS, STEPS


@click.command()
@click.option(
    "--preset",
    type=click.Choice(PRESETS),
    default="cpu",
    show_default=True,
)
@click.option(
    "--spoken",
    type=click.Path(path_type=Path),
    help="Labelled corpus with sound (`train teach`), for the voice presets.",
)
@click.option(
    "--texts", type=click.Path(path_type=Path), help="Labelled texts without sound, besides."
)
@click.option(
    "--recordings",
    type=click.Path(path_type=Path),
    help="Recordings without text, named SPEAKER-..., for codec, coarse and fine.",
)
@click.option(
    "--held-out", type=click.Path(path_type=Path), help="Texts not to train on, one a line."
)
@click.option(
    "--run", type=click.Path(path_type=Path), default=Path("runs/embedded"), show_default=True
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Checkpoint folder. [default: RUN/model]",
)
@click.option(
    "--only", multiple=True, type=click.Choice(STEPS), help="Do these steps only; may be repeated."
)
@click.option("--device", help="cpu or cuda. [default: the preset's]")
@click.option("--threads", type=int, help="CPU threads. [default: torch's]")
@click.option("--seed", default=0, show_default=True, help="Same seed, same weights.")
def embedded(
    preset: str,
    spoken: Path | None,
    texts: Path | None,
    recordings: Path | None,
    held_out: Path | None,
    run: Path,
    output: Path | None,
    only: tuple[str, ...],
    device: str | None,
    threads: int | None,
    seed: int,
) -> None:
    """Make the embedded model from nothing: corpus, codec, stages, checkpoint.

    The presets smoke, cpu and gpu speak their own corpus and need flite and espeak-ng; voice-smoke and voice train on
    a labelled corpus.

    Stopped runs go on where they were. With two cores, run two steps side by side with --only.
    """
    from recipes.embedded.recipe import recipe
    from recipes.embedded.run import EmbeddedRun
    from recipes.embedded.synth.labelled_corpus import LabelledCorpusOptions

    corpus = None
    if spoken is not None:
        corpus = LabelledCorpusOptions(spoken, texts, recordings, held_out)
    made = recipe(preset, seed, device, threads, corpus)
    target = output or run / "model"
    EmbeddedRun(made, run, lambda line: click.echo(line, err=True)).run(target, only or STEPS)
    if not only or "export" in only:
        click.echo(f"checkpoint: {target}", err=True)


@click.command()
@click.option("--teacher", required=True, type=click.Path(exists=True, path_type=Path),
              help="Kokoro's model, kokoro-v1.0*.onnx.")  # fmt: skip
@click.option("--vocabulary", required=True, type=click.Path(exists=True, path_type=Path),
              help="Its vocab.json.")  # fmt: skip
@click.option("--voices", required=True, type=click.Path(exists=True, path_type=Path),
              help="Folder of its voices, NAME.bin.")  # fmt: skip
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder.")
@click.option("--lines", default=2400, show_default=True, help="Lines of the plan.")
@click.option("--labels-only", is_flag=True, help="No sound: about 25 times as fast.")
@click.option("--held-out", type=click.Path(path_type=Path), help="Texts not to speak, one a line.")
@click.option("--part", default="1/1", show_default=True, help="i/n: the i-th of n processes.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same plan.")
def teach(
    teacher: Path, vocabulary: Path, voices: Path, output: Path, lines: int, labels_only: bool,
    held_out: Path | None, part: str, seed: int,
) -> None:  # fmt: skip
    """Speak or label a corpus with Kokoro: texts, phoneme lengths, pitch, and sound.

    Texts come from WordNet, a grammar and the system's word list. A stopped run completes the missing shards.
    """
    from recipes.embedded.synth.kokoro import KokoroTeacher
    from recipes.embedded.synth.labelled_corpus import text_keys
    from recipes.embedded.synth.teacher_corpus import build_teacher_corpus
    from recipes.embedded.synth.teacher_plan import TeacherTexts, plan_lines

    number, slash, count = part.partition("/")
    if not (slash and number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise click.UsageError(f"--part is {part!r}; allowed: i/n with i from 1 to n, such as 2/4")
    speaker = KokoroTeacher(teacher, vocabulary, voices, with_audio=not labels_only)
    texts = TeacherTexts(held_out=text_keys(held_out))
    plan = plan_lines(texts, speaker.voices, lines, seed)
    build_teacher_corpus(
        speaker,
        plan,
        output,
        part=(int(number) - 1, int(count)),
        notify=lambda line: click.echo(line, err=True),
    )
