"""What a request ASKS: frozen sampling and length settings, each checked once, when it is made.

Knows no model: a stage left at None takes the checkpoint's own default (`GenerationParams.resolve`).
Standard library only.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from openbark.errors import ParamError
from openbark.scalars import read_flag, read_number, read_whole

MAX_SEED = 2**64 - 1
"""Largest seed: the Philox key is 64 bits wide."""

DEFAULT_MIN_EOS_P = 0.2

_EVERY_STAGE = ("temperature", "top_k", "top_p")


def _number(name: str, value: object, allowed: str) -> float:
    number = read_number(value)
    if number is None:
        raise ParamError(f"{name} must be a number, is {value!r}; allowed: {allowed}")
    if not math.isfinite(number):
        raise ParamError(f"{name} must be a finite number, is {value!r}; allowed: {allowed}")
    return number


def _whole(name: str, value: object) -> int:
    number = read_whole(value)
    if number is None or number < 1:
        raise ParamError(f"{name} is {value!r}; allowed: a whole number from 1, or None")
    return number


def check_seed(seed: int | None) -> int:
    """Return the seed to use: `seed` itself, or a fresh random 32-bit one for None.

    Raises ParamError unless 0 <= seed <= 2**64 - 1.
    """
    if seed is None:
        return secrets.randbits(32)
    number = read_whole(seed)
    if number is None:
        raise ParamError(f"seed must be a whole number, is {seed!r}; allowed: 0..{MAX_SEED}")
    if not 0 <= number <= MAX_SEED:
        raise ParamError(f"seed is {number}; allowed: 0..{MAX_SEED}")
    return number


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How one stage draws its tokens. Filters apply in Suno's order: top_p on the unscaled logits,
    top_k, then temperature (docs/parity.md S33).

    temperature: 0 or more; 0 is greedy (the most likely token; Suno crashes there, S42).
    top_k: keep the k most likely tokens, ties included; None keeps all.
    top_p: keep the smallest set whose probability passes p, the first always; 0 < p <= 1, None keeps all.
    min_eos_p: semantic stage only: stop as soon as the end token has at least this probability
        (S34); None stops only when it is drawn.
    """

    temperature: float = 0.7
    top_k: int | None = None
    top_p: float | None = None
    min_eos_p: float | None = DEFAULT_MIN_EOS_P

    def __post_init__(self) -> None:
        temperature = _number("temperature", self.temperature, "0 (greedy) or more, 0.7 by default")
        if temperature < 0:
            raise ParamError(f"temperature is {self.temperature}; allowed: 0 (greedy) or more")
        object.__setattr__(self, "temperature", temperature)
        if self.top_k is not None:
            object.__setattr__(self, "top_k", _whole("top_k", self.top_k))
        for name in ("top_p", "min_eos_p"):
            given = getattr(self, name)
            if given is None:
                continue
            value = _number(name, given, "0 < p <= 1, or None")
            if not 0 < value <= 1:
                raise ParamError(
                    f"{name} is {given}; allowed: 0 < p <= 1, or None to switch it off"
                )
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class GenerationParams:
    """All settings of one request. A stage of None means the checkpoint's default.

    max_semantic_tokens: stop after this many semantic tokens; max_semantic_seconds: stop after the token
    that exceeds this duration (S35). The model's own limit holds besides. Both None: that limit only.
    allow_early_stop: False ignores the end token and always fills the limit.
    """

    semantic: SamplingParams | None = None
    coarse: SamplingParams | None = None
    fine: SamplingParams | None = None
    max_semantic_tokens: int | None = None
    max_semantic_seconds: float | None = None
    allow_early_stop: bool = True

    def __post_init__(self) -> None:
        for stage in ("semantic", "coarse", "fine"):
            value = getattr(self, stage)
            if value is not None and not isinstance(value, SamplingParams):
                raise ParamError(
                    f"{stage} must be SamplingParams or None, is {type(value).__name__}"
                )
            if (
                stage != "semantic"
                and value is not None
                and value.min_eos_p not in (None, DEFAULT_MIN_EOS_P)
            ):
                raise ParamError(
                    f"{stage}.min_eos_p is {value.min_eos_p}: only the semantic stage has an end token"
                )
        if self.max_semantic_tokens is not None:
            limit = _whole("max_semantic_tokens", self.max_semantic_tokens)
            object.__setattr__(self, "max_semantic_tokens", limit)
        if self.max_semantic_seconds is not None:
            seconds = _number(
                "max_semantic_seconds", self.max_semantic_seconds, "more than 0, or None"
            )
            if seconds <= 0:
                raise ParamError(
                    f"max_semantic_seconds is {self.max_semantic_seconds}; "
                    "allowed: more than 0, or None"
                )
            object.__setattr__(self, "max_semantic_seconds", seconds)
        early = read_flag(self.allow_early_stop)
        if early is None:
            raise ParamError(
                f"allow_early_stop is {self.allow_early_stop!r}; allowed: True or False"
            )
        object.__setattr__(self, "allow_early_stop", early)

    @classmethod
    def greedy(
        cls, max_semantic_tokens: int | None = None, max_semantic_seconds: float | None = None
    ) -> GenerationParams:
        """The most likely token at every step of every stage; no randomness left."""
        zero = SamplingParams(temperature=0.0)
        return cls(zero, zero, zero, max_semantic_tokens, max_semantic_seconds)

    def with_named(self, given: Mapping[str, Any]) -> GenerationParams:
        """These params with `given` values in their place, by the names that requests, batch lines and command lines use.

        "temperature", "top_k", "top_p" hold for every stage, "coarse_temperature" and so on for one and come
        first; "min_eos_p" for the semantic stage; "max_seconds". Other names are left alone.
        Raises ParamError naming the stage for a value outside its range.
        """

        def stage(name: str) -> SamplingParams | None:
            own: SamplingParams | None = getattr(self, name)
            common = _EVERY_STAGE if name != "semantic" else (*_EVERY_STAGE, "min_eos_p")
            values = {field: given[field] for field in common if field in given}
            for field in (*_EVERY_STAGE, "min_eos_p"):
                if f"{name}_{field}" in given:
                    values[field] = given[f"{name}_{field}"]
            try:
                return replace(own or SamplingParams(), **values) if values else own
            except ParamError as error:
                raise ParamError(f"{name} {error}") from error

        return replace(
            self,
            semantic=stage("semantic"),
            coarse=stage("coarse"),
            fine=stage("fine"),
            max_semantic_seconds=given.get("max_seconds", self.max_semantic_seconds),
        )

    def resolve(self, defaults: GenerationParams) -> GenerationParams:
        """Fill every None from `defaults`; stages still None after that take Suno's values."""

        def pick(name: str) -> Any:
            for source in (self, defaults, SUNO_PARAMS):
                value = getattr(source, name)
                if value is not None:
                    return value
            return None

        return GenerationParams(
            semantic=pick("semantic"),
            coarse=pick("coarse"),
            fine=pick("fine"),
            max_semantic_tokens=pick("max_semantic_tokens"),
            max_semantic_seconds=pick("max_semantic_seconds"),
            allow_early_stop=self.allow_early_stop,
        )


SUNO_PARAMS = GenerationParams(
    semantic=SamplingParams(temperature=0.7, min_eos_p=DEFAULT_MIN_EOS_P),
    coarse=SamplingParams(temperature=0.7),
    fine=SamplingParams(temperature=0.5),
)
"""Suno's defaults (S1-S3, S10)."""


def check_params(params: GenerationParams | None) -> GenerationParams:
    """`params` itself, none set for None. Raises ParamError for anything else, with the way to write it."""
    if params is None:
        return GenerationParams()
    if isinstance(params, GenerationParams):
        return params
    if isinstance(params, SamplingParams):
        how = "it is settings of one stage: GenerationParams(semantic=...)"
    else:
        how = "such as GenerationParams(semantic=SamplingParams(temperature=0.4))"
    raise ParamError(f"params must be GenerationParams or None, is {type(params).__name__}; {how}")
