"""The embedded model from nothing: synthesise, train seven networks, assemble a checkpoint.

Every step leaves its result in the run folder and is skipped when it is there, so the same command goes on
where it was stopped. Steps only meet through those files: on a machine with two cores, two may run side by side
(`only=`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from openbark.backends.torch.codecs import build_codec
from openbark.backends.torch.fine import FineGPT
from openbark.backends.torch.gpt import CausalGPT, initialise
from openbark.backends.torch.istft import IstftCodec
from openbark.backends.torch.residual import ResidualCodec
from openbark.backends.torch.semantic_encoder import SemanticEncoder
from openbark.config import GPTConfig, HarmonicCodecConfig, IstftCodecConfig
from openbark.errors import TrainingError
from openbark.text.tokenizer import Tokenizer
from openbark.training.coarse import CoarseTask
from openbark.training.codec import CodecTask, CodecTrainee, DecoderClip, DecoderTask
from openbark.training.data import Utterance, read_shards, write_shards
from openbark.training.fine import FineTask
from openbark.training.harmonic_codec import HarmonicCodecTask, clips_of
from openbark.training.loop import FitOptions, FitResult, Task, fit, torch_threads
from openbark.training.run_state import load_state
from openbark.training.semantic import SemanticTask
from openbark.training.semantic_tokenizer import SemanticTokenizerTask
from recipes.embedded import STEPS
from recipes.embedded.config import character_tokenizer_json
from recipes.embedded.export import export_embedded
from recipes.embedded.predict_fine import predict_fine
from recipes.embedded.recipe import Recipe
from recipes.embedded.synth.corpus import build_corpus
from recipes.embedded.synth.labelled_corpus import LabelledCorpusOptions, build_labelled_corpus


class EmbeddedRun:
    """One run of a recipe in one folder."""

    def __init__(self, recipe: Recipe, directory: Path, say: Callable[[str], None]) -> None:
        self._recipe = recipe
        self._directory = directory
        self._say = say

    def run(self, output: Path, only: Sequence[str] = STEPS) -> None:
        """Do the steps of `only`, in order, and leave the checkpoint in `output`."""
        unknown = sorted(set(only) - set(STEPS))
        if unknown:
            raise TrainingError(f"steps {unknown} unknown; allowed: {', '.join(STEPS)}")
        actions: dict[str, Callable[[], None]] = {
            "corpus": self._corpus,
            "codec": self._codec,
            "semantic-tokenizer": self._semantic_tokenizer,
            "tokens": self._tokens,
            "semantic": self._semantic,
            "coarse": self._coarse,
            "fine": self._fine,
            "decoder": self._decoder,
            "export": lambda: self._export(output),
        }
        for step in STEPS:
            if step in only:
                self._say(f"{step}: {self._directory}")
                actions[step]()

    def _corpus(self) -> None:
        options, directory = self._recipe.corpus, self._directory / "corpus"
        if isinstance(options, LabelledCorpusOptions):
            build_labelled_corpus(options, directory)
        else:
            build_corpus(options, directory)

    def _has(self, folder: str, split: str) -> bool:
        return (self._directory / folder / split).is_dir()

    def _split(self, folder: str, split: str) -> list[Utterance]:
        directory = self._directory / folder / split
        if not directory.is_dir():
            raise TrainingError(
                f"{directory} is missing; run the step that makes it first ({folder})"
            )
        return read_shards(directory)

    def _fit(self, task: Task, options: FitOptions) -> FitResult:
        return fit(task, options, self._directory / task.name)

    def _codec(self) -> None:
        recipe, config = self._recipe, self._recipe.config.codec
        extra = [name for name in ("codec_only", "speech") if self._has("corpus", name)]
        train = [u for split in ("train", *extra) for u in self._split("corpus", split)]
        valid = _mixed(self._split("corpus", "valid"))
        task: Task
        if isinstance(config, HarmonicCodecConfig):
            n_valid = recipe.codec.validation_clips
            clips, held_out = clips_of(train, config), clips_of(valid[:n_valid], config)
            task = HarmonicCodecTask(config, clips, held_out, recipe.codec)
        elif isinstance(config, IstftCodecConfig):
            task = CodecTask(config, _waveforms(train), _waveforms(valid), recipe.codec)
        else:
            raise TrainingError("the embedded recipe trains an iSTFT or a harmonic codec")
        self._fit(task, recipe.codec_fit)

    def _trained(
        self, name: str, module: torch.nn.Module, fit_options: FitOptions
    ) -> torch.nn.Module:
        """The module with the final weights of a finished training step."""
        state = load_state(self._directory / name)
        if state is None or state["step"] < fit_options.steps:
            reached = 0 if state is None else state["step"]
            raise TrainingError(
                f"step {name!r} has reached {reached} of {fit_options.steps} training steps; finish it first"
            )
        module.load_state_dict(state["module"])
        return module.eval()

    def _trained_codec(self) -> ResidualCodec:
        trainee = CodecTrainee(build_codec(self._recipe.config.codec))
        self._trained("codec", trainee, self._recipe.codec_fit)
        return trainee.codec

    def _tokens(self) -> None:
        codec, encoder = self._trained_codec(), self._trained_encoder()
        splits = [s for s in ("train", "valid", "speech") if self._has("corpus", s)]
        for split in splits:
            target = self._directory / "tokens" / split
            if target.is_dir():
                continue
            partial = target.with_name(split + ".partial")
            _remove_tree(partial)
            source = self._split("corpus", split)
            with torch_threads(self._recipe.codec_fit.threads):
                write_shards(partial, (_with_tokens(u, codec, encoder) for u in source))
            partial.rename(target)

    def _trained_encoder(self) -> SemanticEncoder:
        config = self._recipe.config.semantic_encoder
        if config is None:
            raise TrainingError("the recipe's config has no semantic encoder")
        encoder = SemanticEncoder(config)
        self._trained("semantic-tokenizer", encoder, self._recipe.tokenizer_fit)
        return encoder

    def _semantic_tokenizer(self) -> None:
        config = self._recipe.config.semantic_encoder
        if config is None:
            raise TrainingError("the recipe's config has no semantic encoder")
        train, valid = self._split("corpus", "train"), _mixed(self._split("corpus", "valid"))
        task = SemanticTokenizerTask(config, train, valid, self._recipe.tokenizer)
        self._fit(task, self._recipe.tokenizer_fit)

    def _semantic(self) -> None:
        recipe = self._recipe
        model = _fresh(recipe.config.semantic, recipe.semantic.seed)
        train, valid = self._split("corpus", "train"), self._split("corpus", "valid")
        if self._has("corpus", "texts"):
            train += self._split("corpus", "texts")
            valid += self._split("corpus", "texts_valid")
        encode = self._tokenizer().encode
        task = SemanticTask(model, recipe.config, encode, train, valid, recipe.semantic)
        self._fit(task, recipe.semantic_fit)

    def _tokenizer(self) -> Tokenizer:
        path = self._directory / "tokenizer.json"
        path.write_text(character_tokenizer_json(), encoding="utf-8")
        return Tokenizer.load(path)

    def _coarse(self) -> None:
        recipe = self._recipe
        model = _fresh(recipe.config.coarse, recipe.coarse.seed)
        train, valid = self._speech_tokens(), _mixed(self._split("tokens", "valid"))
        self._fit(CoarseTask(model, recipe.config, train, valid, recipe.coarse), recipe.coarse_fit)

    def _speech_tokens(self) -> list[Utterance]:
        """Everything that has codes: the training split, and recordings without text."""
        train = self._split("tokens", "train")
        return train + (self._split("tokens", "speech") if self._has("tokens", "speech") else [])

    def _fine(self) -> None:
        recipe = self._recipe
        model = FineGPT(recipe.config.fine)
        generator = torch.Generator().manual_seed(recipe.fine.seed)
        initialise(model, recipe.config.fine.n_layer, generator, std=0.05)
        train, valid = self._speech_tokens(), _mixed(self._split("tokens", "valid"))
        self._fit(FineTask(model, recipe.config, train, valid, recipe.fine), recipe.fine_fit)

    def _decoder(self) -> None:
        recipe, codec = self._recipe, self._trained_codec()
        if recipe.decoder_fit is None or not isinstance(codec, IstftCodec):
            return
        fine = self._trained("fine", FineGPT(recipe.config.fine), recipe.fine_fit)
        clips = []
        for utterance in self._split("tokens", "train")[: recipe.n_decoder_clips]:
            if utterance.codes is None or utterance.waveform is None:
                continue
            predicted = predict_fine(
                fine, recipe.config, utterance.codes, recipe.defaults, recipe.fine.seed
            )
            clips.append(DecoderClip(utterance.waveform, utterance.codes, predicted))
        held_out = _waveforms(_mixed(self._split("tokens", "valid")))
        task = DecoderTask(codec, clips, held_out, recipe.codec)
        self._fit(task, recipe.decoder_fit)

    def _export(self, output: Path) -> None:
        recipe, config = self._recipe, self._recipe.config
        networks = {
            "semantic.": self._trained("semantic", CausalGPT(config.semantic), recipe.semantic_fit),
            "coarse_acoustics.": self._trained(
                "coarse", CausalGPT(config.coarse), recipe.coarse_fit
            ),
            "fine_acoustics.": self._trained("fine", FineGPT(config.fine), recipe.fine_fit),
            "codec_model.": self._finished_codec(),
            "semantic_encoder.": self._trained_encoder(),
        }
        tensors: dict[str, NDArray[Any]] = {
            prefix + name: tensor.detach().cpu().numpy()
            for prefix, network in networks.items()
            for name, tensor in network.state_dict().items()
        }
        train = self._split("tokens", "train")
        export_embedded(output, config, tensors, recipe.defaults, train, recipe.presets)

    def _finished_codec(self) -> torch.nn.Module:
        codec, decoder_fit = self._trained_codec(), self._recipe.decoder_fit
        return codec if decoder_fit is None else self._trained("codec-decoder", codec, decoder_fit)


def _fresh(config: GPTConfig, seed: int) -> CausalGPT:
    model = CausalGPT(config)
    initialise(model, config.n_layer, torch.Generator().manual_seed(seed))
    return model


def _mixed(utterances: Sequence[Utterance]) -> list[Utterance]:
    """The same utterances with speakers taking turns, so that any first n of them cover all."""
    order: dict[str, int] = {}
    turns = []
    for utterance in utterances:
        turns.append(order.get(utterance.speaker, 0))
        order[utterance.speaker] = turns[-1] + 1
    return [utterances[i] for i in np.argsort(turns, kind="stable")]


def _waveforms(utterances: Sequence[Utterance]) -> list[NDArray[np.int16]]:
    return [u.waveform for u in utterances if u.waveform is not None]


def _with_tokens(utterance: Utterance, codec: ResidualCodec, encoder: SemanticEncoder) -> Utterance:
    """The utterance with codes, and with semantic tokens if it has none."""
    if utterance.waveform is None:
        raise TrainingError(f"utterance {utterance.key} has no waveform to encode")
    samples = torch.from_numpy(utterance.waveform.astype(np.float32) / 32768.0)[None]
    with torch.inference_mode():
        codes = codec.encode(samples)[0].numpy().astype(np.int16)
        semantic = utterance.semantic
        if semantic is None:
            semantic = encoder.encode(samples)[0].numpy().astype(np.int16)
    return replace(utterance, codes=codes, semantic=semantic)


def _remove_tree(path: Path) -> None:
    if path.is_dir():
        for child in path.iterdir():
            child.unlink()
        path.rmdir()
