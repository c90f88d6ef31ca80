"""A checkpoint loaded into PyTorch behind the `Backend` protocol."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from openbark.backends.base import CodecStream, Network, require_network
from openbark.backends.native.library import checked_threads
from openbark.backends.torch.codec_streams import codec_stream
from openbark.backends.torch.codecs import build_codec
from openbark.backends.torch.fine import FineGPT
from openbark.backends.torch.gpt import CausalGPT, KVCache
from openbark.checkpoints.checkpoint import Checkpoint
from openbark.config import BarkConfig
from openbark.errors import DeviceError, ParamError
from openbark.forks import tell_after_fork
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt
from openbark.types import Logits, Tokens

_DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}


class Codec(Protocol):
    """What all codecs have in common."""

    def encode(self, waveform: Tensor, n_codebooks: int) -> Tensor:
        """Waveform [B, L] -> codes [B, K, F]."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, K, F] -> waveform [B, L]."""
        ...


def _device(name: str | None) -> torch.device:
    try:
        device = torch.device(name or "cpu")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        cause = str(error).splitlines()[0]
        raise DeviceError(
            f"device {name!r} is not usable here ({cause}); try device='cpu', "
            "or install a torch build for this device"
        ) from error
    return device


def _dtype(name: str | None) -> torch.dtype:
    if name is not None and name not in _DTYPES:
        raise ParamError(f"dtype is {name!r}; allowed: {', '.join(sorted(_DTYPES))}")
    return _DTYPES[name or "float32"]


def _codec(config: BarkConfig) -> nn.Module:
    # Weights that are replaced at once must not cost the program draws of its own generator.
    with torch.random.fork_rng(devices=[]):
        return build_codec(config.codec)


def _array(logits: Tensor) -> Logits:
    if logits.dtype == torch.bfloat16:
        logits = logits.float()
    return logits.cpu().numpy()


class TorchSession:
    """One cached row of a causal stage (`CausalSession`)."""

    def __init__(self, model: CausalGPT) -> None:
        self._model = model
        self._cache = KVCache.empty(model.config, 1, model.lm_head.weight)

    @torch.inference_mode()
    def _advance(self, ids: Tokens, summed: Tokens | None) -> Logits:
        device = self._model.lm_head.weight.device
        rows = None if summed is None else torch.from_numpy(summed)[None].to(device)
        hidden = self._model(torch.from_numpy(ids)[None].to(device), rows, self._cache)
        return _array(self._model.lm_head(hidden[0, -1]))

    def prefill(self, prompt: Prompt) -> Logits:
        """Forget everything, read the prompt; logits [V] after its last position."""
        self._cache.length = 0
        return self._advance(prompt.ids, prompt.summed)

    def step(self, token: int) -> Logits:
        """Append one token; logits [V] after it."""
        return self._advance(np.array([token], dtype=np.int64), None)


class TorchBackend:
    """A Bark in PyTorch (`backends.base.Backend`).

    The transformers run in the dtype asked for; the codec in float32, or float64 when that is asked for.
    """

    def __init__(
        self,
        config: BarkConfig,
        causal: dict[Stage, CausalGPT],
        fine: FineGPT | None,
        codec: nn.Module | None,
    ) -> None:
        self.config = config
        self._causal = causal
        self._fine = fine
        self._codec = codec
        self._in_child = False
        tell_after_fork(self)

    def after_fork(self) -> None:
        """In the child of a fork: OpenMP waits for threads that do not exist there, unless it is told to use one."""
        self._in_child = True
        torch.set_num_threads(1)

    def _ready(self, network: Network | None, name: str) -> Network:
        """A network that can compute. Raises CheckpointUnsupportedError, or DeviceError after a fork."""
        found = require_network(network, name)
        device = next(self._modules()[0].parameters()).device
        if self._in_child and device.type != "cpu":
            raise DeviceError(
                f"the model was loaded on {device} before this process was forked, and {device.type} does not work in "
                "the child of a fork; load it in the child, or start processes with the 'spawn' method"
            )
        return found

    @classmethod
    def load(
        cls,
        checkpoint: Checkpoint,
        device: str | None = None,
        dtype: str | None = None,
        threads: int | None = None,
    ) -> TorchBackend:
        """Build the networks that a checkpoint holds. `threads` sets torch's process-wide thread count.

        Raises DeviceError for a device that is not here, ParamError for an unknown dtype.
        """
        if (wanted := checked_threads(threads)) is not None:
            torch.set_num_threads(wanted)
        place, kind = _device(device), _dtype(dtype)
        config = checkpoint.config

        def filled(module: nn.Module, prefix: str, as_type: torch.dtype) -> nn.Module:
            arrays = checkpoint.tensors(prefix)
            state = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
            module.load_state_dict(state, assign=True)
            return module.to(device=place, dtype=as_type).eval().requires_grad_(False)

        causal: dict[Stage, CausalGPT] = {}
        fine, codec = None, None
        with torch.device("meta"):
            if "semantic" in checkpoint.parts:
                causal[Stage.SEMANTIC] = CausalGPT(config.semantic)
            if "coarse_acoustics" in checkpoint.parts:
                causal[Stage.COARSE] = CausalGPT(config.coarse)
            if "fine_acoustics" in checkpoint.parts:
                fine = FineGPT(config.fine)
        if "codec_model" in checkpoint.parts:
            codec = _codec(config)
        for module, prefix in (
            (causal.get(Stage.SEMANTIC), "semantic."),
            (causal.get(Stage.COARSE), "coarse_acoustics."),
            (fine, "fine_acoustics."),
        ):
            if module is not None:
                filled(module, prefix, kind)
        if codec is not None:
            exact = torch.float64 if kind == torch.float64 else torch.float32
            filled(codec, "codec_model.", exact)
        return cls(config, causal, fine, codec)

    def to(self, device: str) -> None:
        """Move the networks; computes there from then on. Raises DeviceError for a device that is not here."""
        place = _device(device)
        for module in self._modules():
            module.to(place)

    def _modules(self) -> list[nn.Module]:
        modules = [*self._causal.values(), self._fine, self._codec]
        return [module for module in modules if module is not None]

    def __repr__(self) -> str:
        return f"<TorchBackend of {self.config.name!r}: {self.description}>"

    @property
    def description(self) -> str:
        """Backend, torch version, device, dtype and threads in one line."""
        device = next(self._modules()[0].parameters()).device
        threads = torch.get_num_threads()
        return f"torch {torch.__version__}, {device}, {self.dtype}, {threads} threads"

    @property
    def dtype(self) -> str:
        """Precision of the transformers' weights; of the codec's when that is all there is."""
        return str(next(self._modules()[0].parameters()).dtype).removeprefix("torch.")

    def causal(self, stage: Stage) -> CausalGPT:
        """The network of the semantic or coarse stage."""
        return self._ready(self._causal.get(stage), stage.name.lower())

    def session(self, stage: Stage) -> TorchSession:
        """A fresh cached row of the semantic or coarse stage."""
        return TorchSession(self.causal(stage))

    @torch.inference_mode()
    def causal_logits(self, stage: Stage, prompt: Prompt) -> Logits:
        """Uncached logits [V] after the last position of the prompt."""
        model = self.causal(stage)
        device = model.lm_head.weight.device
        summed = None if prompt.summed is None else torch.from_numpy(prompt.summed)[None].to(device)
        hidden = model(torch.from_numpy(prompt.ids)[None].to(device), summed)
        return _array(model.lm_head(hidden[0, -1]))

    @torch.inference_mode()
    def fine_logits(self, codes: Tokens, k: int) -> Logits:
        """Logits [N, V] of codebook k for a window of codes [K, N]."""
        fine = self._ready(self._fine, "fine")
        window = torch.tensor(codes)[None].to(fine.position_embeds_layer.weight.device)
        return _array(fine(window, k)[0])

    @torch.inference_mode()
    def codec_decode(self, codes: Tokens) -> NDArray[np.float32]:
        """Codes [K, F] to a waveform [L]."""
        codec = self._ready(self._codec, "codec")
        device = next(codec.parameters()).device
        decoded = codec.decode(torch.tensor(codes)[None].to(device))  # type: ignore[operator]
        waveform: NDArray[np.float32] = decoded[0].float().cpu().numpy()
        return waveform

    def codec_stream(self) -> CodecStream:
        """A fresh stream of the codec (`backends.base.StreamingBackend`)."""
        return codec_stream(self._ready(self._codec, "codec"))  # type: ignore[arg-type]

    @torch.inference_mode()
    def codec_encode(self, waveform: NDArray[np.float32], n_codebooks: int) -> Tokens:
        """Waveform [L] to codes [K, F]."""
        codec = self._ready(self._codec, "codec")
        samples = torch.tensor(waveform)[None].to(next(codec.parameters()))
        codes: Tokens = codec.encode(samples, n_codebooks)[0].cpu().numpy()  # type: ignore[operator]
        return codes
