"""Every error OpenBark raises on purpose, on one page, with its exit code and HTTP status.

    OpenBarkError                      exit 1, HTTP 500
    ├── InputError                     exit 2, HTTP 400   the caller can fix it by asking differently
    │   ├── TextError                  the text: empty, too long, characters the model cannot read
    │   ├── VoiceError                 the voice: unknown name, broken or foreign arrays
    │   ├── ParamError                 a sampling or generation setting outside its allowed values
    │   └── AudioError                 waveforms and audio files, read or written
    ├── CheckpointError                exit 1, HTTP 500   weights on disk
    │   ├── CheckpointNotFoundError    nothing there, or only half of it
    │   ├── CheckpointCorruptError     there, but not what its own config says
    │   ├── CheckpointUnsafeError      would run code when read
    │   └── CheckpointUnsupportedError a layout or model kind we do not know
    ├── DeviceError                    exit 1, HTTP 500   the device asked for is not here
    ├── MissingExtraError              exit 1, HTTP 500   an optional dependency is not installed
    ├── TrainingError                  exit 1, HTTP 500   data or settings of a training run
    ├── BusyError                      exit 1, HTTP 503   the queue is full
    ├── DeadlineError                  exit 1, HTTP 504   it did not go on within its time
    └── CancelledError                 exit 130, HTTP 499 the caller left, or Ctrl-C

A message says what is wrong, where, the allowed values, and the next step. An exception of another type
that reaches a user is a bug of ours.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AudioError",
    "BusyError",
    "CancelledError",
    "CheckpointCorruptError",
    "CheckpointError",
    "CheckpointNotFoundError",
    "CheckpointUnsafeError",
    "CheckpointUnsupportedError",
    "DeadlineError",
    "DeviceError",
    "InputError",
    "MissingExtraError",
    "OpenBarkError",
    "ParamError",
    "TextError",
    "TrainingError",
    "VoiceError",
]


class OpenBarkError(Exception):
    """Root of the tree; catches everything OpenBark raises on purpose."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500


class InputError(OpenBarkError, ValueError):
    """The request itself is at fault."""

    exit_code: ClassVar[int] = 2
    http_status: ClassVar[int] = 400


class TextError(InputError):
    """The text is empty, too long, or holds characters the model cannot read."""


class VoiceError(InputError):
    """The voice is unknown, or its arrays do not fit the model."""


class ParamError(InputError):
    """A setting lies outside its allowed values."""


class AudioError(InputError):
    """A waveform or an audio file is not usable, or cannot be written."""


class CheckpointError(OpenBarkError):
    """Weights on disk are at fault."""


class CheckpointNotFoundError(CheckpointError):
    """The checkpoint, or one of its files, is not there."""

    exit_code: ClassVar[int] = 2


class CheckpointCorruptError(CheckpointError):
    """The files are there but disagree with their own config."""


class CheckpointUnsafeError(CheckpointError):
    """Reading the file would run code it carries."""


class CheckpointUnsupportedError(CheckpointError):
    """A layout, model kind or feature that OpenBark does not know."""


class DeviceError(OpenBarkError):
    """The device asked for is not available."""


class MissingExtraError(OpenBarkError):
    """An optional dependency is needed and not installed."""


class TrainingError(OpenBarkError):
    """Training data or training settings are at fault."""


class BusyError(OpenBarkError):
    """The queue is full, or closed; try again later.

    retry_after: seconds after which there is room, by the queue's own estimate; None when there will be none.
    """

    http_status: ClassVar[int] = 503

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlineError(OpenBarkError):
    """The work did not end, or did not go on, within its time."""

    http_status: ClassVar[int] = 504


class CancelledError(OpenBarkError):
    """The work was stopped on request."""

    exit_code: ClassVar[int] = 130
    http_status: ClassVar[int] = 499
