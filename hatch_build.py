"""Build hook: a wheel carries the built web client and nano's pictures, or is not made at all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = Path("server/nanobana_server/static/index.html")
PACK = Path("engine/nanobana_engine/assets/data/nanobana.pack")


class ClientBuildHook(BuildHookInterface[Any]):
    """Makes the git-ignored parts before they are packed; an editable install serves whatever lies in the tree."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build what is missing.

        Raises:
            RuntimeError: if a part is missing and cannot be built here; the message names both ways out.
        """
        del build_data
        if version == "editable":
            return
        root = Path(self.root)
        if not (root / PAGE).is_file():
            self._npm(root / "client" / "web", "npm run build", "the web client")
        if not (root / PACK).is_file():
            self._npm(root / "engine" / "assets", "", "nano's pictures")
            self._python(root, "nanobana_engine.assets.build")
        for made in (PAGE, PACK):
            if not (root / made).is_file():
                raise RuntimeError(f"{made} was not made. Run `make wheel`, which says why, and build again.")

    def _npm(self, folder: Path, build: str, what: str) -> None:
        npm = shutil.which("npm")
        if npm is None or not (folder / "package.json").is_file():
            raise RuntimeError(
                f"{what} is not built, and cannot be built here (npm on the PATH and {folder} are needed). "
                "Either install Node.js 20 or newer and build again, or run `make wheel` in a checkout that has it."
            )
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=folder, check=True)
        if build:
            subprocess.run(build.split(), cwd=folder, check=True)

    def _python(self, root: Path, module: str) -> None:
        try:
            subprocess.run([sys.executable, "-m", module], cwd=root / "engine", check=True)
        except subprocess.CalledProcessError as error:
            raise RuntimeError(
                f"{module} failed ({error.returncode}). Either build with --no-isolation where nanobana's engine "
                "extra is installed, or run `make wheel`."
            ) from error
