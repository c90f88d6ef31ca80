"""Training-time residual quantiser: moving-average codebooks, k-means start, dead-code restart.

Keeps the statistics beside the plain `ResidualQuantizer` of a codec and writes its codebooks. All state is in buffers,
so that a checkpoint resumes exactly; all randomness comes from the generator passed in.
Knows nothing of waveforms or losses other than the commitment term (van den Oord 2017; EMA and
restart as in Dhariwal 2020, residual form and codebook dropout as in Zeghidour 2021).
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn

from openbark.backends.torch.residual import Codebook, ResidualQuantizer


class EmaQuantizer(nn.Module):
    """Quantises with straight-through gradients and updates the codebooks it is given.

    Buffers: ``cluster_size [K, N]`` (moving mean of hits per step), ``embed_sum [K, N, D]`` (moving
    sum of the vectors that hit), ``initialised`` (0 or 1).
    """

    cluster_size: Tensor
    embed_sum: Tensor
    initialised: Tensor

    def __init__(
        self, count: int, size: int, dim: int, decay: float = 0.99, dead_below: float = 0.03
    ) -> None:
        super().__init__()
        self.decay = decay
        self.dead_below = dead_below
        self.register_buffer("cluster_size", torch.zeros(count, size))
        self.register_buffer("embed_sum", torch.zeros(count, size, dim))
        self.register_buffer("initialised", torch.zeros((), dtype=torch.int64))

    def forward(
        self,
        quantizer: ResidualQuantizer,
        latent: Tensor,
        n_codebooks: Tensor,
        generator: torch.Generator,
        *,
        update: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Quantise ``latent [B, F, D]``, item b with its first ``n_codebooks[b]`` codebooks.

        Returns the quantised latent ``[B, F, D]`` (gradient passes straight through), the
        commitment loss (mean square of what each used codebook leaves) and the codes ``[B, K, F]``.
        """
        batch, _, dim = latent.shape
        residual = latent.float()
        quantised = torch.zeros_like(residual)
        commitment = residual.new_zeros(())
        codes = []
        for k in range(len(quantizer.layers)):
            codebook = quantizer.codebook(k)
            with torch.no_grad():
                index = codebook.nearest(residual)
                chosen = codebook.embed[index]
            used = (n_codebooks > k).to(residual.dtype)[:, None, None]
            commitment = commitment + (used * (residual - chosen).square()).mean()
            quantised = quantised + used * chosen
            if update:
                vectors = residual.detach().reshape(-1, dim)
                self._update(k, codebook, vectors, index.reshape(-1), generator)
            residual = residual - chosen
            codes.append(index)
        commitment = commitment * batch / n_codebooks.sum()
        straight_through = latent + (quantised - latent).detach()
        return straight_through, commitment, torch.stack(codes, 1)

    @torch.no_grad()
    def initialise(
        self,
        quantizer: ResidualQuantizer,
        latent: Tensor,
        generator: torch.Generator,
        iterations: int = 10,
    ) -> None:
        """Set every codebook by k-means of the residuals of ``latent [M, D]``, level by level."""
        residual = latent.float()
        for k in range(len(quantizer.layers)):
            codebook = quantizer.codebook(k)
            size = codebook.embed.shape[0]
            codebook.embed.copy_(self._draw(residual, size, generator))
            for _ in range(iterations):
                index = codebook.nearest(residual)
                hits, total = self._statistics(k, residual, index)
                means = total / hits.clamp(min=1.0)[:, None]
                spare = self._draw(residual, size, generator)
                codebook.embed.copy_(torch.where(hits[:, None] > 0, means, spare))
            self.cluster_size[k] = 1.0
            self.embed_sum[k] = codebook.embed
            residual = residual - codebook.embed[codebook.nearest(residual)]
        self.initialised.fill_(1)

    @torch.no_grad()
    def _update(
        self,
        k: int,
        codebook: Codebook,
        vectors: Tensor,
        index: Tensor,
        generator: torch.Generator,
    ) -> None:
        """Move codebook ``k`` towards the means of the ``vectors [M, D]`` that hit its entries."""
        hits, total = self._statistics(k, vectors, index)
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(hits)
            dist.all_reduce(total)
        size, summed = self.cluster_size[k], self.embed_sum[k]
        size.lerp_(hits, 1.0 - self.decay)
        summed.lerp_(total, 1.0 - self.decay)
        dead = size < self.dead_below
        # A fixed number of draws per step keeps the random stream independent of the data.
        fresh = self._draw(vectors, size.shape[0], generator)
        restart = 10.0 * self.dead_below
        size.copy_(torch.where(dead, torch.full_like(size, restart), size))
        summed.copy_(torch.where(dead[:, None], fresh * restart, summed))
        codebook.embed.copy_(summed / size[:, None])

    def _statistics(self, k: int, vectors: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        hits = torch.zeros_like(self.cluster_size[k])
        hits.index_add_(0, index, torch.ones_like(vectors[:, 0]))
        total = torch.zeros_like(self.embed_sum[k])
        total.index_add_(0, index, vectors)
        return hits, total

    @staticmethod
    def _draw(vectors: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """``count`` rows of ``vectors``, chosen with replacement, a hair apart from each other."""
        rows = torch.randint(len(vectors), (count,), generator=generator, device=generator.device)
        noise = torch.randn(count, vectors.shape[1], generator=generator, device=generator.device)
        spread = 1e-3 * vectors.std()
        return vectors[rows.to(vectors.device)] + spread * noise.to(vectors.device)
