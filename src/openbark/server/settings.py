"""All settings of a server: flags over environment (`OPENBARK_SERVER_*`) over a TOML file over defaults.

Every limit that a client can run into stands here and is shown in `/openapi.json`.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from openbark.errors import ParamError
from openbark.server.keys import KeyRing

# Latin text, without its pauses (`text.speech_length`).
_SECONDS_PER_LETTER = 0.065
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s?#]+")
_LOOPBACK_NAMES = ("localhost", "localhost.localdomain")


class ServerSettings(BaseSettings):
    """Settings, each with its unit. Unknown names are refused."""

    model_config = SettingsConfigDict(env_prefix="OPENBARK_SERVER_", extra="forbid", frozen=True)

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(
        default=8000, ge=0, le=65535, description="port to listen on; 0 takes a free one"
    )
    wyoming_port: int | None = Field(
        default=None, ge=0, le=65535, description="port for the Wyoming protocol; none: not spoken"
    )
    api_key: str | None = Field(default=None, description="one key in plain text, for containers")
    api_key_file: Path | None = Field(default=None, description="file of hashed keys")
    insecure: bool = Field(
        default=False,
        description="listen beyond this machine without a key; Wyoming, which has none, beside one",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        description="names clients may use for this server, besides loopback and `host`; '*' for any",
    )
    cors_origins: tuple[str, ...] = Field(
        default=(),
        description="origins of web pages that may use this server, such as https://app.example; '*' for any",
    )
    public_lists: bool = Field(default=True, description="lists of models and voices need no key")
    voice_map: Path | None = Field(
        default=None, description="TOML file: OpenAI's voice names to ours"
    )
    otlp_endpoint: str | None = Field(
        default=None,
        description="where traces go (OTLP over HTTP); none: OTEL_EXPORTER_OTLP_ENDPOINT, or nowhere",
    )
    data_directory: Path | None = Field(default=None, description="where uploaded voices are kept")

    max_body_bytes: int = Field(default=1 << 20, ge=1024, description="largest JSON body")
    max_upload_bytes: int = Field(default=10 << 20, ge=1024, description="largest upload")
    max_voice_bytes: int = Field(default=1 << 20, ge=1024, description="of a voice file, unpacked")
    max_recording_seconds: float = Field(
        default=120.0, gt=0, description="longest recording of a consent"
    )
    max_input_chars: int = Field(default=20_000, ge=1, description="longest text of a request")
    max_batch_lines: int = Field(default=1_000, ge=1, description="lines of a batch request")
    max_queued: int = Field(default=64, ge=1, description="requests that wait or run")
    max_queued_seconds: float = Field(
        default=3600.0,
        gt=0,
        description="estimated audio seconds of those that are still to be made",
    )
    max_request_seconds: float = Field(
        default=1800.0, gt=0, description="estimated audio seconds of a request, silence included"
    )
    max_rows: int = Field(default=16, ge=1, description="requests computed together")
    max_failures: int = Field(
        default=3, ge=1, description="requests that fail in a row before the server is not ready"
    )
    streams_per_key: int = Field(default=8, ge=1, description="requests of one key at once")
    voices_per_key: int = Field(default=20, ge=0, description="voices one key may upload")
    max_send_buffer: int = Field(
        default=512 << 10, ge=2048, description="bytes kept for a client that reads slowly"
    )

    header_timeout: float = Field(default=10.0, gt=0, description="seconds to send a header")
    body_timeout: float = Field(default=10.0, gt=0, description="seconds to send a body")
    decode_timeout: float = Field(default=10.0, gt=0, description="seconds to read an upload")
    queue_timeout: float = Field(default=30.0, gt=0, description="seconds to wait for a start")
    first_audio_timeout: float = Field(
        default=300.0, gt=0, description="seconds from the start to the first audio"
    )
    progress_timeout: float = Field(
        default=300.0, gt=0, description="seconds from each piece of audio to the next one"
    )
    stuck_timeout: float = Field(
        default=60.0, gt=0, description="seconds without a step of the engine while there is work"
    )
    total_timeout: float | None = Field(
        default=None, gt=0, description="seconds for a whole request; none: as long as it goes on"
    )
    slow_reader_timeout: float = Field(
        default=30.0, gt=0, description="seconds a client may not read"
    )
    idle_timeout: float = Field(default=30.0, gt=0, description="seconds a WebSocket may be silent")
    shutdown_timeout: float = Field(
        default=30.0, ge=0, description="seconds for running requests at the end"
    )

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host in _LOOPBACK_NAMES:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def keys(self) -> KeyRing:
        """The keys admitted. Raises ParamError for an unreadable file, and when the server would listen
        beyond this machine with no key."""
        ring = KeyRing.read(self.api_key_file, self.api_key)
        if not (ring.required or self.loopback or self.insecure):
            raise ParamError(
                f"host {self.host!r} can be reached from other machines, and there is no API key: give "
                "--api-key-file (or OPENBARK_SERVER_API_KEY), listen on 127.0.0.1, or say --insecure"
            )
        if self.wyoming_port is not None and not (self.loopback or self.insecure):
            raise ParamError(
                f"host {self.host!r} can be reached from other machines, and the Wyoming protocol knows no keys: "
                "listen on 127.0.0.1, leave --wyoming-port out, or say --insecure"
            )
        return ring

    def check_limits(self) -> None:
        """Raise ParamError for limits of which one makes another impossible to reach."""
        for origin in self.cors_origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ParamError(
                    f"cors_origins has {origin!r}, which is not an origin; allowed: scheme://host or "
                    "scheme://host:port, without a path, or *"
                )
        longest = self.max_input_chars * _SECONDS_PER_LETTER
        for name, low, other, high in (
            ("max_request_seconds", self.max_request_seconds, "max_input_chars", longest),
            (
                "max_queued_seconds",
                self.max_queued_seconds,
                "max_request_seconds",
                self.max_request_seconds,
            ),
            ("max_body_bytes", self.max_body_bytes, "max_input_chars", self.max_input_chars),
        ):
            if low < high:
                unit = f"about {high:.0f} s of speech" if high is longest else f"{high:g}"
                raise ParamError(
                    f"{name} is {low:g}, but {other} allows {unit}; raise {name} to {high:.0f} or lower {other}"
                )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is handed in and the environment; the file is read by `load_settings`."""
        return (init_settings, env_settings)


def load_settings(
    file: Path | None = None, flags: Mapping[str, Any] | None = None
) -> ServerSettings:
    """Settings of a TOML file, the environment and flags, the later ones first.

    Raises ParamError naming the setting, its value and what is allowed, and for limits that contradict each other.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    from_file = _read_toml(file) if file is not None else {}
    try:
        environment = ServerSettings()
        used = {name: getattr(environment, name) for name in environment.model_fields_set}
        settings = ServerSettings(**{**from_file, **used, **given})
    except ValidationError as error:
        raise ParamError("; ".join(_finding(finding) for finding in error.errors())) from error
    settings.check_limits()
    return settings


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ParamError(f"the settings file {file} cannot be read: {error}") from error


def _finding(finding: Any) -> str:
    name = ".".join(str(part) for part in finding["loc"])
    field = ServerSettings.model_fields.get(name)
    if field is None:
        return f"there is no setting {name!r}; allowed: {', '.join(ServerSettings.model_fields)}"
    return f"{name} ({field.description}) is {finding['input']!r}: {finding['msg']}"
