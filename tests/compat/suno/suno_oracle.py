"""Suno's three loops once more, from the rules S30-S38 alone: plain, uncached, in torch, with Suno's numbers.

Shares nothing with `openbark.stages` or `openbark.engine` but the networks, which are asked for the logits of a
whole prompt each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

SEMANTIC_VOCAB, PAD, TEXT_OFFSET, TEXT_PAD, INFER = 10_000, 10_000, 10_048, 129_595, 129_599
COARSE_PAD, COARSE_INFER, CODES, WINDOW = 12_048, 12_050, 1024, 1024
RATIO = 75 / 49.9 * 2

Causal = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
Fine = Callable[[np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Draw:
    temperature: float | None
    top_k: int | None = None
    top_p: float | None = None


def pick(logits: torch.Tensor, how: Draw) -> tuple[int, torch.Tensor]:
    if how.top_p is not None:
        plain = logits.numpy().astype(np.float32).copy()
        descending = np.argsort(plain)[::-1]
        exponentials = np.exp(plain[descending] - plain.max())
        total = np.cumsum(exponentials / exponentials.sum())
        for rank in range(1, len(plain)):
            if total[rank - 1] > how.top_p:
                plain[descending[rank]] = -np.inf
        logits = torch.from_numpy(plain)
    if how.top_k is not None:
        logits = logits.clone()
        kept = torch.sort(logits, descending=True).values[min(how.top_k, len(logits)) - 1]
        logits[logits < kept] = -float("inf")
    shares = F.softmax(logits / how.temperature, dim=-1)
    return int(torch.multinomial(shares, num_samples=1).item()), shares


def semantic(
    network: Causal,
    text_ids: list[int],
    history: np.ndarray | None,
    how: Draw,
    min_eos_p: float | None,
    max_seconds: float | None = None,
    early: bool = True,
    steps: int = 768,
) -> np.ndarray:
    text = np.array([token + TEXT_OFFSET for token in text_ids][:256])
    text = np.concatenate([text, np.full(256 - len(text), TEXT_PAD)])
    past = np.array([], dtype=np.int64) if history is None else np.asarray(history)[-256:]
    past = np.concatenate([past, np.full(256 - len(past), PAD)]).astype(np.int64)
    made: list[int] = []
    seconds = 0.0
    for _ in range(steps):
        logits = torch.from_numpy(
            network(np.concatenate([text, [INFER], made]).astype(np.int64), past)
        )
        allowed = logits[:SEMANTIC_VOCAB]
        if early:
            allowed = torch.cat([allowed, logits[PAD : PAD + 1]])
        token, shares = pick(allowed, how)
        if early and (
            token == SEMANTIC_VOCAB or (min_eos_p is not None and shares[-1] >= min_eos_p)
        ):
            break
        made.append(token)
        seconds += 1 / 49.9
        if max_seconds is not None and seconds > max_seconds:
            break
    return np.array(made)


def coarse(
    network: Causal,
    tokens: np.ndarray,
    voice: dict[str, np.ndarray] | None,
    how: Draw,
    max_history: int = 630,
    window: int = 60,
) -> np.ndarray:
    longest = math.floor(max_history / RATIO)
    old_semantic = np.array([], dtype=np.int64)
    old_coarse: list[int] = []
    if voice is not None:
        flat = [
            int(voice["coarse_prompt"][k, t]) + SEMANTIC_VOCAB + k * CODES
            for t in range(voice["coarse_prompt"].shape[1])
            for k in range(2)
        ]
        whole = voice["semantic_prompt"]
        keep = min(longest, len(whole) - len(whole) % 2, math.floor(len(flat) / RATIO))
        old_semantic = whole[-keep:].astype(np.int64)
        old_coarse = flat[-round(keep * RATIO) :][:-2]
    steps = round(math.floor(len(tokens) * RATIO / 2) * 2)
    everything = np.concatenate([old_semantic, tokens]).astype(np.int64)
    made: list[int] = []
    for first in range(0, steps, window):
        now = len(old_semantic) + round(first / RATIO)
        visible = everything[max(0, now - longest) :][:256]
        head = np.concatenate([visible, np.full(256 - len(visible), COARSE_PAD), [COARSE_INFER]])
        prompt = np.concatenate([head, (old_coarse + made)[-max_history:]]).astype(np.int64)
        for step in range(first, min(first + window, steps)):
            logits = network(np.concatenate([prompt, made[first:]]).astype(np.int64), None)
            start = SEMANTIC_VOCAB + (step % 2) * CODES
            token, _ = pick(torch.from_numpy(logits[start : start + CODES]), how)
            made.append(token + start)
    return (np.array(made).reshape(-1, 2) - [SEMANTIC_VOCAB, SEMANTIC_VOCAB + CODES]).T


def fine(
    network: Fine, codes: np.ndarray, voice: dict[str, np.ndarray] | None, temperature: float | None
) -> np.ndarray:
    given, frames = codes.shape
    canvas = np.concatenate([codes, np.full((8 - given, frames), CODES)]).astype(np.int64)
    old = 0
    if voice is not None:
        past = voice["fine_prompt"][:, -512:].astype(np.int64)
        old = past.shape[1]
        canvas = np.concatenate([past, canvas], axis=1)
    missing = max(0, WINDOW - canvas.shape[1])
    canvas = np.concatenate([canvas, np.full((8, missing), CODES)], axis=1)
    width = canvas.shape[1]
    loops = max(0, math.ceil((frames - (WINDOW - old)) / 512)) + 1
    for n in range(loops):
        start = min(n * 512, width - WINDOW)
        fill = min(old + n * 512, width - 512)
        view = canvas[:, start : start + WINDOW]
        for k in range(given, 8):
            logits = torch.from_numpy(network(np.ascontiguousarray(view), k))
            if temperature is None:
                drawn = logits[fill - start :, :CODES].argmax(-1)
            else:
                shares = F.softmax(logits[:, :CODES] / temperature, -1)
                drawn = torch.multinomial(shares[fill - start : WINDOW], num_samples=1).reshape(-1)
            view[k, fill - start :] = drawn.numpy()
    return canvas[:, old : old + frames]
