"""Attention in training: the plain operations and the fused kernel compute the same, forward and backward."""

from __future__ import annotations

import pytest
import torch

from openbark.backends.torch.gpt import Attention
from openbark.config import GPTConfig

CONFIG = GPTConfig(64, 10, 10, 1, 4, 32, bias=True)


@pytest.mark.parametrize("causal", [True, False])
def test_plain_operations_agree_with_the_fused_kernel(causal: bool) -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 17, 8).unbind(0)
    attention = Attention(CONFIG, causal=causal)
    found = []
    for compute in (attention._explicit, attention._fused):
        inputs = [each.clone().requires_grad_() for each in (query, key, value)]
        mixed = compute(*inputs)
        (mixed * torch.arange(8)).sum().backward()
        found.append([mixed, *(each.grad for each in inputs)])
    for plain, fused in zip(*found, strict=True):
        torch.testing.assert_close(plain, fused, rtol=1e-4, atol=1e-5)


def test_training_in_bfloat16_agrees_with_inference() -> None:
    torch.manual_seed(1)
    attention = Attention(CONFIG, causal=True).to(torch.bfloat16)
    x = torch.randn(2, 17, 32).to(torch.bfloat16)
    trained = attention.train()(x)
    torch.testing.assert_close(trained, attention.eval()(x), rtol=0.05, atol=0.02)
