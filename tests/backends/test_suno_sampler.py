"""Draws from torch's generator at temperatures that its dtype cannot divide by."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from openbark.backends.torch.suno_sampler import SunoSampler
from openbark.params import SamplingParams
from openbark.stages.sampling import Stage

TINY = (1e-8, 1e-30, 1e-38, 1e-45, 2.3e-308, 1e-320, 5e-324)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("temperature", TINY)
def test_a_tiny_temperature_is_greedy(temperature: float, dtype: type) -> None:
    sampler, generator = SunoSampler(), np.random.default_rng(3)
    for n in (2, 40, 1000):
        for shift in (-3000, -1, 0, 3000):
            rows = (generator.normal(0, 3, (5, n)) + shift).astype(dtype)
            best = generator.integers(0, n, 5)
            rows[np.arange(5), best] = rows.max(axis=1) + 1
            params = SamplingParams(temperature=temperature)
            assert sampler.frames(rows, params, 2, 0).tolist() == best.tolist()
            for extra in ({}, {"top_k": 1}, {"top_p": 0.7}):
                one = SamplingParams(temperature=temperature, **extra)  # type: ignore[arg-type]
                token, last = sampler.token(rows[0], one, Stage.SEMANTIC, 0)
                assert token == best[0]
                assert last == float(best[0] == n - 1)


def test_other_temperatures_draw_as_sunos_own_line_does() -> None:
    row = np.random.default_rng(1).normal(0, 2, 300).astype(np.float32)
    for temperature in (0.05, 0.7, 1.0, 30.0):
        torch.manual_seed(5)
        shares = torch.softmax(torch.from_numpy(row) / temperature, dim=-1)
        expected = [int(torch.multinomial(shares, 1)) for _ in range(20)]
        torch.manual_seed(5)
        params = SamplingParams(temperature=temperature)
        found = [SunoSampler().token(row, params, Stage.COARSE, n)[0] for n in range(20)]
        assert found == expected
