"""The JSON of the wire: requests and answers of `/v1`, as OpenAI's clients and Open WebUI speak them.

Pydantic models only; what they mean is `openbark.server.speech.serving`. Unknown keys of a speech request are
ignored, since clients send keys of their own; everything known is checked. A key that is null is as good as absent:
OpenAI's clients write None so.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

AudioFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]

CONTENT_TYPES: dict[str, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm;rate={rate};channels=1",
}
"""`Content-Type` by format; pcm carries its rate."""


class VoiceId(BaseModel):
    """A voice as OpenAI's newer clients name it."""

    id: Annotated[str, Field(min_length=1, max_length=200)]


class SpeechRequest(BaseModel):
    """Body of `POST /v1/audio/speech`."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {"model": "tts-1", "input": "Hello there.", "voice": "alloy"},
                {"input": "Hello there.", "response_format": "wav", "seed": 7, "stream": False},
                {
                    "input": "ANN: Hello. [pause:500ms]\nBOB: Hello, Ann.",
                    "script": "text",
                    "speakers": {"ANN": "nova", "BOB": "onyx"},
                },
            ]
        },
    )

    input: str = Field(description="text to speak; the limit is the server's `max_input_chars`")
    model: str | None = Field(
        default=None, max_length=200, description="a name of /v1/models; may be left out"
    )
    voice: Annotated[str, Field(max_length=200)] | VoiceId | None = Field(
        default=None,
        description="a name of /v1/audio/voices or of OpenAI's voices; null lets the model choose",
    )
    response_format: AudioFormat = "mp3"
    stream_format: Literal["audio", "sse"] = "audio"
    stream: bool = Field(
        default=True, description="false: answer when all of it is made, with true sizes"
    )
    speed: float = Field(default=1.0, ge=0.25, le=4.0, description="tempo; the pitch stays")
    instructions: str | None = Field(
        default=None,
        max_length=20_000,
        description="accepted and not used; the answer says so in a header",
    )
    language: str | None = Field(
        default=None,
        max_length=35,
        description="en, en-US, ...: chooses a voice where none is named, and the rules for cutting sentences; null "
        "recognises it from the text",
    )
    seed: int | None = Field(default=None, ge=0, lt=2**64, description="same seed, same audio")
    temperature: float | None = Field(
        default=None, ge=0.0, le=10.0, allow_inf_nan=False, description="of all three stages"
    )
    semantic_temperature: float | None = Field(default=None, ge=0.0, le=10.0)
    coarse_temperature: float | None = Field(default=None, ge=0.0, le=10.0)
    fine_temperature: float | None = Field(default=None, ge=0.0, le=10.0)
    top_k: int | None = Field(default=None, ge=1, le=100_000)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    min_eos_p: float | None = Field(default=None, gt=0.0, le=1.0)
    max_seconds: float | None = Field(
        default=None, ge=0.1, le=600.0, description="of one piece of the text"
    )
    split: Literal["sentence", "packed", "none"] = Field(
        default="sentence", description="pieces of a long text; none: refuse one that needs pieces"
    )
    policy: Literal["anchor", "chain", "hybrid"] = Field(
        default="hybrid", description="how the voice is carried from piece to piece of a long text"
    )
    sentence_pause: float | None = Field(
        default=None, ge=0.0, le=10.0, description="seconds between sentences"
    )
    paragraph_pause: float | None = Field(
        default=None, ge=0.0, le=10.0, description="seconds between paragraphs"
    )
    retries: int | None = Field(
        default=None, ge=0, le=16, description="of a piece that ran away; 0 with latency low"
    )
    best_of: int | None = Field(
        default=None,
        ge=1,
        le=16,
        description="make each piece so often, keep the best; 1 with latency low",
    )
    latency: Literal["sentence", "low"] = Field(
        default="sentence",
        description="low: audio starts below the sentence, and differs a little",
    )
    input_format: Literal["auto", "text", "markdown", "html"] | None = Field(
        default=None,
        description="what `input` is written in; null: what it plainly is, and text for models that read raw text",
    )
    strict: bool = Field(
        default=False,
        description="refuse a text with signs that have no sound, or markup without effect",
    )
    script: Literal["off", "text", "ssml", "srt"] = Field(
        default="off",
        description="how `input` is read: as it stands; with NAME: lines and [pause:500ms] tags; SSML; "
        "subtitles spoken at their times",
    )
    speakers: dict[
        Annotated[str, Field(min_length=1, max_length=200)],
        Annotated[str, Field(min_length=1, max_length=200)],
    ] = Field(
        default_factory=dict, max_length=32, description="names in a script, and their voices"
    )
    progress: bool = Field(
        default=False, description="with stream_format sse: events that tell of the queue"
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {key: value for key, value in values.items() if value is not None}


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(BaseModel):
    """Body of every error."""

    error: ErrorDetail


class Usage(BaseModel):
    """What a request cost: text tokens in, semantic tokens out."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class PlannedPiece(BaseModel):
    """A piece of a text: [start, stop) of it, as it will be spoken, how long it should last, and the silence after it."""

    text: str
    seconds: float
    spoken: str = ""
    pause: float = 0.0
    start: int = 0
    stop: int = 0
    voice: str | None = None
    starts_at: float | None = None


class LeftOutPart(BaseModel):
    """Something in the text that has no sound."""

    text: str
    reason: str


class SpeechPlan(BaseModel):
    """Answer of `/v1/audio/speech/plan`. seconds: of everything, silences included."""

    pieces: list[PlannedPiece]
    seconds: float = 0.0
    lead: float = 0.0
    format: str = "text"
    language: str = "en"
    left_out: list[LeftOutPart] = Field(default_factory=list)


class ModelCard(BaseModel):
    """One entry of `/v1/models`."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "openbark"


class ModelList(BaseModel):
    """Answer of `/v1/models`; `models` repeats it for clients of `/v1/audio/models`."""

    object: Literal["list"] = "list"
    data: list[ModelCard]
    models: list[dict[str, str]]


class VoiceCard(BaseModel):
    """One entry of `/v1/audio/voices`."""

    id: str
    name: str
    language: str | None = None
    uploaded: bool = False
    metadata: dict[str, Any] = Field(default_factory=dict)


class VoiceList(BaseModel):
    """Answer of `/v1/audio/voices`. Entries are objects: clients fail on plain strings."""

    object: Literal["list"] = "list"
    voices: list[VoiceCard]
    data: list[VoiceCard]


class VoiceObject(BaseModel):
    """A voice that was uploaded."""

    id: str
    object: Literal["audio.voice"] = "audio.voice"
    created_at: int
    name: str
    type: Literal["prompt", "audio_sample"]


class VoiceDeleted(BaseModel):
    """A voice that is gone."""

    id: str
    deleted: bool
    object: Literal["audio.voice.deleted"] = "audio.voice.deleted"
