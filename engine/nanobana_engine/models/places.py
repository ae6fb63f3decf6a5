"""Where a team's own models, styles and LoRAs lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

SETTING = "NANOBANA_MODELS"


def models_folder(environ: Mapping[str, str]) -> Path:
    """The folder that NANOBANA_MODELS names, or else ``nanobana/models`` in the user's data folder (XDG)."""
    named = environ.get(SETTING)
    if named:
        return Path(named).expanduser().absolute()
    base = environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "nanobana" / "models"
