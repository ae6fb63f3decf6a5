"""What a team has put beside its models: styles and LoRAs by name, read again when they change. No torch."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanobana.protocol.errors import BadInput

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent / "styles.toml"
OWN_STYLES = "styles.toml"
LORAS = "loras"
PLACE = "{prompt}"
LONGEST_NAME = 64
MOST_LORAS = 500


@dataclass(frozen=True, slots=True)
class Style:
    """Templates with one ``{prompt}`` in the first."""

    prompt: str
    negative: str = ""

    def of(self, prompt: str, negative: str) -> tuple[str, str]:
        """Prompt and negative prompt in this style."""
        return self.prompt.replace(PLACE, prompt), ", ".join(part for part in (negative, self.negative) if part)


class Shelf:
    """Styles and LoRAs.

    Args:
        folder: a team's models folder, with ``styles.toml`` and ``loras/*.safetensors``; None: only what ships.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._shipped = _styles(SHIPPED)
        self._own: Mapping[str, Style] = {}
        self._read_ns = 0

    @property
    def styles(self) -> Mapping[str, Style]:
        """By name. A file of one's own that cannot be used changes nothing, and the log says why."""
        file = self._folder / OWN_STYLES if self._folder else None
        try:
            changed_ns = file.stat().st_mtime_ns if file else 0
        except OSError:
            changed_ns = 0
        if changed_ns != self._read_ns:
            self._read_ns = changed_ns
            try:
                self._own = _styles(file) if file and changed_ns else {}
            except BadInput as error:
                log.warning("%s", error)
        return {**self._shipped, **self._own}

    @property
    def loras(self) -> Mapping[str, Path]:
        """By name: the file's, without its ending."""
        if self._folder is None:
            return {}
        found = sorted((self._folder / LORAS).glob("*.safetensors"))[:MOST_LORAS]
        return {path.stem: path for path in found if path.is_file()}


def _styles(file: Path) -> dict[str, Style]:
    """Raises BadInput ``bad_styles``, with the file and what is wrong in it."""
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
        return {name: _style(name, table) for name, table in tables.items()}
    except (OSError, ValueError) as error:
        raise BadInput(f"The styles in {file} cannot be used: {error}.", code="bad_styles") from error


def _style(name: str, table: Any) -> Style:
    if not isinstance(table, dict) or not set(table) <= {"prompt", "negative"}:
        raise ValueError(f"style {name!r} is a table of prompt and negative")
    prompt, negative = table.get("prompt", ""), table.get("negative", "")
    if not isinstance(prompt, str) or not isinstance(negative, str) or prompt.count(PLACE) != 1:
        raise ValueError(f"the prompt of style {name!r} has to hold {PLACE} once")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"the name of style {name[:20]!r}… is longer than {LONGEST_NAME} characters")
    return Style(prompt, negative)
