"""One stage's loop over tokens, with transformers' draws (docs/parity.md B1-B6, H20-H26).

One multinomial draw per token over the whole vocabulary, from torch's global generator: `torch.manual_seed(n)` gives
the tokens that it gives there. Knows no Bark: the stage hands in a network and its rule. `beams` is the other loop.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor

from openbark.compat.transformers.beams import Network, search
from openbark.compat.transformers.generation_options import StageOptions
from openbark.compat.transformers.scores import Rule, Scorer
from openbark.compat.transformers.stopping import Stop
from openbark.errors import CheckpointCorruptError


def decode(
    network: Network,
    prompt: Tensor,
    n_tokens: int,
    rule: Rule,
    options: StageOptions,
    eos: tuple[int, ...] = (),
    pad: int = 0,
) -> Tensor:
    """Draw up to `n_tokens` for each row: [B, T], rows that ended filled with `pad`.

    prompt: ids [B, P] that penalties and the streamer see; `options.rows_per_text` rows for each text, one after
    the other. Ends early once every row has drawn one of `eos`. With beams, the best rows of each text come back.
    """
    scorer = Scorer(rule, options, eos, n_tokens, prompt.shape[1])
    stop = Stop(options, eos, time.monotonic())

    def scores_of(logits: Tensor, ids: Tensor) -> Tensor:
        return scorer(_checked(logits, ids, options), ids)

    if options.num_beams > 1:
        return search(network, scores_of, stop, prompt, n_tokens, options, pad)
    ids = prompt
    going = torch.ones(len(prompt), dtype=torch.bool, device=prompt.device)
    if options.streamer is not None:
        options.streamer.put(prompt.cpu())
    token: Tensor | None = None
    for _ in range(n_tokens):
        scores = scores_of(network(token), ids)
        if options.do_sample:
            shares = scores.softmax(dim=-1)
            drawn = torch.multinomial(shares, 1, generator=options.generator)[:, 0]
        else:
            drawn = scores.argmax(dim=-1)
        token = torch.where(going, drawn, torch.full_like(drawn, pad))
        ids = torch.cat([ids, token[:, None]], dim=1)
        if options.streamer is not None:
            options.streamer.put(token.cpu())
        going &= ~stop(ids, scores)
        if not going.any():
            break
    if options.streamer is not None:
        options.streamer.end()
    return ids[:, prompt.shape[1] :]


def _checked(logits: Tensor, ids: Tensor, options: StageOptions) -> Tensor:
    """Logits in float32, as their filters compute. Raises CheckpointCorruptError for NaN."""
    scores = logits.to(device=ids.device, dtype=torch.float32, copy=True)
    if not options.remove_invalid_values and torch.isnan(scores).any():
        raise CheckpointCorruptError(
            "the model computed logits that are not numbers (NaN): its weights are damaged, or "
            "overflow in this precision; try dtype=torch.float32"
        )
    return scores.log_softmax(dim=-1) if options.num_beams > 1 else scores
