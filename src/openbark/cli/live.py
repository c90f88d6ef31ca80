"""Audio as it is made: to stdout, or to a player. What cannot be done to audio that is not whole is refused here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from openbark.cli.inputs import Source, options_for
from openbark.cli.outputs import voice_words

if TYPE_CHECKING:
    from openbark.api import Bark
    from openbark.audio import Edits, Waveform
    from openbark.speech.options import SpeechOptions


def check_flags(flag: str, sources: list[Source], whole: Mapping[str, bool]) -> None:
    """Raise UsageError where `flag`, which hands audio on early, is given with several texts or with a flag of
    `whole`, which needs all of the audio."""
    if len(sources) > 1:
        raise click.UsageError(f"{flag} speaks one text")
    given = [name for name, is_given in whole.items() if is_given]
    if given:
        raise click.UsageError(
            f"{flag} hands the audio on before it is whole; leave out {', '.join(given)}"
        )


def plays_live(options: SpeechOptions, edits: Edits) -> bool:
    """Whether a clip can be played while it is made. Raises AudioError where no player is installed at all."""
    from openbark.audio import find_player
    from openbark.errors import AudioError

    find_player()
    if edits.trim or edits.loudness is not None or edits.sample_rate is not None:
        return False
    try:
        find_player(live=True)
    except AudioError:
        if options.latency == "low":
            raise
        return False
    return True


class Outlet:
    """Where blocks go that were just made: at their speed, held back at first so that playback does not run dry."""

    def __init__(
        self,
        bark: Bark,
        source: Source,
        speed: float,
        sink: Callable[[Waveform], None],
        marked_seed: int | None = None,
    ) -> None:
        """marked_seed: the seed that the watermark names; None for no watermark."""
        from openbark.audio import Stretcher
        from openbark.audio.playback_buffer import PlaybackBuffer
        from openbark.text.speech_length import expected_seconds
        from openbark.watermark import Marker, Payload

        self._stretcher = Stretcher(bark.sample_rate, speed)
        self._buffer = PlaybackBuffer(bark.sample_rate, expected_seconds(source.text) / speed)
        self._marker: Marker | None = None
        if marked_seed is not None:
            payload = Payload.of(asdict(bark.config), marked_seed)
            self._marker = Marker(bark.sample_rate, payload)
        self._rate = bark.sample_rate
        self._sink = sink
        self._n_samples = 0

    @property
    def seconds(self) -> float:
        """Seconds of audio passed on so far."""
        return self._n_samples / self._rate

    def push(self, block: Waveform) -> None:
        """Take samples [L]."""
        self._hand_on(self._buffer.push(self._stretcher.push(block)))

    def finish(self) -> None:
        """Hand on what is left."""
        self._hand_on(self._buffer.finish())
        self._hand_on(self._stretcher.finish())
        if self._marker is not None:
            self._pass_on(self._marker.finish())

    def _hand_on(self, samples: Waveform) -> None:
        self._pass_on(samples if self._marker is None else self._marker.push(samples))

    def _pass_on(self, samples: Waveform) -> None:
        self._n_samples += len(samples)
        self._sink(samples)


def pipe(
    bark: Bark,
    source: Source,
    options: SpeechOptions,
    speed: float,
    format: str,
    watermark: bool,
) -> str:
    """The audio to stdout, each block as soon as it is made; a line about it."""
    from openbark.audio import open_encoder

    encoder = open_encoder(format, bark.sample_rate)
    out = sys.stdout.buffer

    def write(samples: Waveform) -> None:
        out.write(encoder.write(samples))
        out.flush()

    said = _spoken(bark, source, options, speed, write, watermark)
    out.write(encoder.finish())
    out.flush()
    return said


def play_live(
    bark: Bark, source: Source, options: SpeechOptions, speed: float, watermark: bool
) -> str:
    """The audio to a player and nowhere else; a line about it. Raises AudioError."""
    from openbark.audio import LivePlayer

    with LivePlayer(bark.sample_rate) as player:
        return _spoken(bark, source, options, speed, player.push, watermark)


def _spoken(
    bark: Bark,
    source: Source,
    options: SpeechOptions,
    speed: float,
    sink: Callable[[Waveform], None],
    watermark: bool,
) -> str:
    bark.engine.start()
    job = bark.job(source.text, options_for(source, options), lazily=True)
    outlet = Outlet(bark, source, speed, sink, job.seed if watermark else None)
    for block in job.stream(bark.engine):
        outlet.push(block)
    outlet.finish()
    return (
        f"{outlet.seconds:.2f} s of audio, seed {job.seed}, {voice_words(job.voice_name)}, "
        f"model {bark.config.name}"
    )
