"""What one server is told by its environment: NANOBANA_… and PORT."""

from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of one server; every field is read from ``NANOBANA_`` and its name, the port also from ``PORT``."""

    model_config = SettingsConfigDict(env_prefix="NANOBANA_", populate_by_name=True, frozen=True, extra="ignore")

    redis_url: str = "redis://127.0.0.1:6379/0"
    """``redis://``, ``rediss://``, ``unix://`` or ``redis+cluster://host:port``."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8000, validation_alias=AliasChoices("PORT", "NANOBANA_PORT")
    )
    """0 lets the system choose one; the log says which."""
    static: Path = Path(__file__).parent / "static"
    """The built web client."""
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Further origins whose pages may use this server, comma-separated, e.g. ``https://studio.example``."""
    public_https: bool = False
    """The page is reached over HTTPS by way of a proxy: cookies are marked Secure."""
    room_members: Annotated[int, Field(ge=1)] = 64
    """Most sockets on one canvas of people who do more than watch."""
    room_watchers: Annotated[int, Field(ge=0)] = 64
    """So many sockets more, for viewers."""
    budget_bytes: Annotated[int, Field(ge=1 << 20)] = 2 << 30
    """Of each new canvas, history included (C12)."""
    cellar: str | None = None
    """Where bytes go that only history names, and canvases that nobody opens: a folder or a URL that fsspec knows, the
    same for every server of a store. None: everything stays in the store."""
    sleep_after_days: Annotated[float, Field(ge=0)] = 30.0
    """A canvas that nobody changed for so long goes to sleep in the cellar; 0: never."""
    deleted_kept_days: Annotated[float, Field(ge=0)] = 7.0
    """A deleted canvas can be taken back by its owner for so long; 0: never."""
    new_canvases_per_minute: Annotated[int, Field(ge=1)] = 120
    """Per network address."""
    tickets_per_minute: Annotated[int, Field(ge=1)] = 600
    """Per network address; by one link `link_share` times as many."""
    uploads_per_minute: Annotated[int, Field(ge=1)] = 600
    """Pictures and large patches, per person and canvas."""
    upload_bytes_per_hour: Annotated[int, Field(ge=1 << 20)] = 4 << 30
    """Per person and canvas."""
    edits_per_minute: Annotated[int, Field(ge=1)] = 600
    """Per person and canvas; a live session asks for five a second."""
    edits_per_day: Annotated[int, Field(ge=0)] = 0
    """Per person and canvas; 0: as many as they like."""
    link_share: Annotated[int, Field(ge=1)] = 10
    """All who came by one link together may do so many times what one person may."""
    upload_bytes: Annotated[int, Field(ge=1 << 16)] = 32 << 20
    """Largest picture or patch in one request."""
    file_bytes: Annotated[int, Field(ge=1 << 16)] = 1 << 30
    """Largest canvas file that may be opened."""
    upload_pixels: Annotated[int, Field(ge=1 << 16)] = 50_000_000
    """Largest picture after decoding."""
    export_pixels: Annotated[int, Field(ge=1 << 16)] = 100_000_000
    """Largest canvas that is exported in one piece."""
    drain: Annotated[float, Field(ge=0)] = 3.0
    """Seconds that members have to leave after SIGTERM."""
    log_level: str = "info"
    log_json: bool = True
    otlp: str | None = None
    """An OpenTelemetry collector that takes OTLP over HTTP, e.g. ``http://127.0.0.1:4318``; None: no spans."""

    @property
    def sleep_after_ms(self) -> int | None:
        """None: canvases never go to sleep."""
        return round(self.sleep_after_days * 86_400_000) if self.cellar and self.sleep_after_days else None

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
