"""The watermark "ob1": put into generated speech, and found again. Numpy alone; knows no model and no files."""

from __future__ import annotations

from openbark.watermark.detect import Detection, detect_watermark
from openbark.watermark.embed import Marker, embed_watermark
from openbark.watermark.pattern import DEFAULT_KEY, KEY_VARIABLE, mark_name, watermark_key
from openbark.watermark.payload import Payload

__all__ = [
    "DEFAULT_KEY",
    "KEY_VARIABLE",
    "Detection",
    "Marker",
    "Payload",
    "detect_watermark",
    "embed_watermark",
    "mark_name",
    "watermark_key",
]
