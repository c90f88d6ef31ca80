"""Numbers and truth values as callers have them: Python's own, and those of numpy and torch, by what they can do.

None stands for "not one of these"; callers raise their own error. Standard library only.
"""

from __future__ import annotations

import operator
from typing import SupportsFloat, SupportsIndex


def read_whole(value: object) -> int | None:
    """A whole number as an int: int, np.int64, an array without dimensions; None for bool, float, text."""
    if (
        _is_truth_value(value)
        or not _is_scalar(value, "iu")
        or not isinstance(value, SupportsIndex)
    ):
        return None
    try:
        return operator.index(value)
    except (TypeError, ValueError):
        return None


def read_number(value: object) -> float | None:
    """A real number as a float, nan and infinities included; None for bool, complex, text.

    Whole numbers too large for a float become infinite.
    """
    whole = read_whole(value)
    if whole is not None:
        value = whole
    elif (
        _is_truth_value(value)
        or isinstance(value, (str, bytes, bytearray, complex))
        or not _is_scalar(value, "iuf")
        or not isinstance(value, SupportsFloat)
    ):
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")  # type: ignore[operator]
    except (TypeError, ValueError):
        return None


def read_flag(value: object) -> bool | None:
    """True or False, numpy's included; None for everything else, numbers too."""
    if isinstance(value, bool):
        return value
    if not _is_truth_value(value) or getattr(value, "ndim", 0) != 0:
        return None
    return bool(value)


def _is_truth_value(value: object) -> bool:
    # numpy and torch are not imported here; both name the dtype of their truth values "bool".
    return isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool")


def _is_scalar(value: object, kinds: str) -> bool:
    """No dimensions, and of a numeric dtype where there is one. torch's dtypes have no kind."""
    if getattr(value, "ndim", 0) != 0:
        return False
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    return kind is None or kind in kinds
