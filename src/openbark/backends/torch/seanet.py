"""The convolutional half of EnCodec: padded convolutions, residual blocks, the LSTM, encoder and decoder.

SEANet as EnCodec uses it (arXiv 2210.13438, section 3.1). Attribute names are the Hugging Face
checkpoint's key names (docs/parity.md C2), with weight norm already folded into plain convolution weights by
`openbark.checkpoints`. Knows no quantiser and no sampling rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional as F

from openbark.config import EncodecConfig


def _pad(x: Tensor, left: int, right: int, mode: str) -> Tensor:
    """Pad the last axis of `x` [B, C, L]. Reflection needs more samples than it mirrors: a shorter input
    is first lengthened with zeros, and as many samples are cut from the end afterwards."""
    if mode != "reflect":
        return F.pad(x, (left, right), mode)
    missing = max(0, max(left, right) - x.shape[-1] + 1)
    padded = F.pad(F.pad(x, (0, missing)), (left, right), mode)
    return padded[..., : padded.shape[-1] - missing]


def _norm(config: EncodecConfig, channels: int) -> nn.Module:
    if config.norm_type == "time_group_norm":
        return nn.GroupNorm(1, channels)
    return nn.Identity()


class Convolution(nn.Module):
    """A 1-D convolution whose output has ceil(L / stride) steps: [B, C, L] -> [B, C', ceil(L / stride)].

    Causal: all of the receptive field lies to the left. Otherwise the larger half does. The right is
    extended besides until the last stride is full.
    """

    def __init__(
        self,
        config: EncodecConfig,
        inputs: int,
        outputs: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel_size, stride, dilation=dilation)
        self.norm = _norm(config, outputs)
        self.stride = stride
        self.pad_mode = config.pad_mode
        overlap = (kernel_size - 1) * dilation + 1 - stride
        self.right = 0 if config.use_causal_conv else overlap // 2
        self.left = overlap - self.right

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, L] -> [B, C', ceil(L / stride)]."""
        fill = -x.shape[-1] % self.stride
        y: Tensor = self.norm(self.conv(_pad(x, self.left, self.right + fill, self.pad_mode)))
        return y


class TransposedConvolution(nn.Module):
    """The upsampling twin of `Convolution`: [B, C, T] -> [B, C', T * stride].

    The kernel's overhang is trimmed; `trim_right_ratio` of it from the right in the causal case.
    """

    def __init__(
        self, config: EncodecConfig, inputs: int, outputs: int, kernel_size: int, stride: int
    ) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(inputs, outputs, kernel_size, stride)
        self.norm = _norm(config, outputs)
        overhang = kernel_size - stride
        ratio = config.trim_right_ratio
        self.right = math.ceil(overhang * ratio) if config.use_causal_conv else overhang // 2
        self.left = overhang - self.right

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C', T * stride]."""
        y: Tensor = self.norm(self.conv(x))
        return y[..., self.left : y.shape[-1] - self.right]


class ResidualLSTM(nn.Module):
    """A stack of LSTM layers around which the input is added: [B, C, T] -> [B, C, T]."""

    def __init__(self, width: int, n_layer: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, n_layer)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        sequence = x.permute(2, 0, 1)
        output: Tensor = self.lstm(sequence)[0] + sequence
        return output.permute(1, 2, 0)


class ResidualBlock(nn.Module):
    """ELU, dilated convolution to a narrower width, ELU, 1x1 convolution back; plus the input."""

    def __init__(self, config: EncodecConfig, width: int, dilation: int) -> None:
        super().__init__()
        narrow = width // config.compress
        self.block = nn.ModuleList(
            [
                nn.ELU(),
                Convolution(config, width, narrow, config.residual_kernel_size, dilation=dilation),
                nn.ELU(),
                Convolution(config, narrow, width, 1),
            ]
        )
        self.shortcut: nn.Module = nn.Identity()
        if config.use_conv_shortcut:
            self.shortcut = Convolution(config, width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, L] -> [B, C, L]."""
        y = x
        for layer in self.block:
            y = layer(y)
        total: Tensor = self.shortcut(x) + y
        return total


def _residual_blocks(config: EncodecConfig, width: int) -> Iterator[nn.Module]:
    for level in range(config.num_residual_layers):
        yield ResidualBlock(config, width, config.dilation_growth_rate**level)


class SeanetEncoder(nn.Module):
    """Waveform [B, C, L] to latent [B, D, F], F = ceil(L / hop_length)."""

    def __init__(self, config: EncodecConfig) -> None:
        super().__init__()
        width = config.num_filters
        layers: list[nn.Module] = [
            Convolution(config, config.audio_channels, width, config.kernel_size)
        ]
        for ratio in reversed(config.upsampling_ratios):
            layers.extend(_residual_blocks(config, width))
            layers += [nn.ELU(), Convolution(config, width, 2 * width, 2 * ratio, ratio)]
            width *= 2
        layers += [
            ResidualLSTM(width, config.num_lstm_layers),
            nn.ELU(),
            Convolution(config, width, config.hidden_size, config.last_kernel_size),
        ]
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, L] -> [B, D, F]."""
        for layer in self.layers:
            x = layer(x)
        return x


class SeanetDecoder(nn.Module):
    """Latent [B, D, F] to waveform [B, C, F * hop_length]."""

    def __init__(self, config: EncodecConfig) -> None:
        super().__init__()
        width = config.num_filters * 2 ** len(config.upsampling_ratios)
        layers: list[nn.Module] = [
            Convolution(config, config.hidden_size, width, config.kernel_size),
            ResidualLSTM(width, config.num_lstm_layers),
        ]
        for ratio in config.upsampling_ratios:
            narrower = width // 2
            layers += [nn.ELU(), TransposedConvolution(config, width, narrower, 2 * ratio, ratio)]
            layers.extend(_residual_blocks(config, narrower))
            width = narrower
        layers += [
            nn.ELU(),
            Convolution(config, width, config.audio_channels, config.last_kernel_size),
        ]
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """[B, D, F] -> [B, C, F * hop_length]."""
        for layer in self.layers:
            x = layer(x)
        return x
