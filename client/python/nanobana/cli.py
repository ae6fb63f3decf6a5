"""The command line `nanobana`: the all-in-one run and its parts; every part is imported only when it is asked for."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from nanobana import __version__

if TYPE_CHECKING:
    import typer

MODEL_HELP = (
    "A name (see: nanobana models), a folder, or owner/name on the hub; several times: several.  [env: NANOBANA_MODEL]"
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; ends the process with 0, or with a code and one clear sentence on stderr."""
    words = sys.argv[1:] if arguments is None else arguments
    if words in (["--version"], ["-V"]):
        print(f"nanobana {__version__}")
        return
    try:
        import typer  # noqa: F401
    except ModuleNotFoundError:
        _fail("The command line is not installed. Install it with: pip install 'nanobana[all]'", 69)
    _commands()(args=words, prog_name="nanobana")


def _commands() -> Any:
    import typer

    app = typer.Typer(
        help="A shared canvas with diffusion inpainting.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def common(version: bool = typer.Option(False, "--version", "-V", help="Print the version and exit.")) -> None:
        if version:
            print(f"nanobana {__version__}")
            raise typer.Exit

    @app.command()
    def serve(
        port: int = typer.Option(None, min=1, max=65535, help="Port of the page.  [env: PORT; default: 8000]"),
        host: str = typer.Option(None, help="Address to listen on.  [env: NANOBANA_HOST; default: 127.0.0.1]"),
        data: Path = typer.Option(None, help="Folder for all that is kept.  [env: NANOBANA_DATA]"),
        model: list[str] = typer.Option(None, help=MODEL_HELP),
        logs: bool = typer.Option(False, "--logs", help="Show the parts' logs here instead of keeping them in files."),
    ) -> None:
        """Start everything on this machine: an embedded store, the server and one engine."""
        _export(PORT=port, NANOBANA_HOST=host, NANOBANA_DATA=data, NANOBANA_MODEL=",".join(model) if model else None)
        serving = _part("nanobana_server.allinone.serve", "The server", "server")
        settings = _part("nanobana_server.allinone.settings", "The server", "server")
        errors = _part("nanobana_server.allinone.errors", "The server", "server")
        _need("nanobana_engine", "The engine", "engine")
        import msgspec

        try:
            serving.serve(msgspec.structs.replace(settings.read(os.environ), logs_to_terminal=logs))
        except errors.ServeError as error:
            _fail(str(error), error.exit_code)

    @app.command()
    def server(
        port: int = typer.Option(None, min=1, max=65535, help="Port of the page.  [env: PORT; default: 8000]"),
        host: str = typer.Option(None, help="Address to listen on.  [env: NANOBANA_HOST; default: 127.0.0.1]"),
        redis_url: str = typer.Option(None, help="The store: Redis, Valkey or cluster.  [env: NANOBANA_REDIS_URL]"),
    ) -> None:
        """Start one server; any number of them share a store."""
        _export(PORT=port, NANOBANA_HOST=host, NANOBANA_REDIS_URL=redis_url)
        settings = _part("nanobana_server.settings", "The server", "server")
        try:
            told = settings.Settings()
        except ValueError as error:
            _fail(f"a setting cannot be understood. {error}", 64)
        _part("nanobana_server.app", "The server", "server").run(told)

    @app.command()
    def engine(
        model: list[str] = typer.Option(None, help=MODEL_HELP),
        redis_url: str = typer.Option(None, help="The store: Redis, Valkey or cluster.  [env: NANOBANA_REDIS_URL]"),
        probe: bool = typer.Option(False, "--probe", help="Start nothing: exit 0 if this machine's engine is well."),
    ) -> None:
        """Start one engine; any number of them share a store."""
        _export(NANOBANA_MODEL=",".join(model) if model else None, NANOBANA_REDIS_URL=redis_url)
        if probe:
            raise SystemExit(_probe())
        _part("nanobana_engine.worker.main", "The engine", "engine").run()

    _tools(app)
    return app


def _tools(app: typer.Typer) -> None:
    """The commands that start no part of the product."""
    import typer

    @app.command()
    def models(
        as_json: bool = typer.Option(False, "--json", help="For programs."),
    ) -> None:
        """List the models that can be named, their licences, and which are on this machine."""
        raise SystemExit(_part("nanobana_engine.models.cli", "The engine", "engine").main(as_json=as_json))

    @app.command()
    def doctor(
        as_json: bool = typer.Option(False, "--json", help="For programs."),
    ) -> None:
        """Look at this machine: device, memory, models, store, data folder; what is wrong and what to do about it."""
        raise SystemExit(_doctor(as_json=as_json))

    @app.command(name="import")
    def import_(
        file: Path = typer.Argument(help="A picture, OpenRaster (.ora) or a canvas file (.nanobana)."),
        where: str = typer.Argument(
            "http://127.0.0.1:8000", help="A canvas's link (in quotes), or a server's address for a new canvas."
        ),
    ) -> None:
        """Bring a file in: as layers of a canvas, or as a new canvas, whose links are printed."""
        for line in _told("bring", file, where):
            print(line)

    @app.command()
    def export(
        link: str = typer.Argument(help="The canvas's link, in quotes."),
        file: Path = typer.Argument(help="What to write: .png the picture, .ora the layers, .nanobana all of it."),
    ) -> None:
        """Write a canvas to a file."""
        _told("take", link, file)

    @app.command()
    def record(
        canvas: str = typer.Argument(help="The canvas's ID, or any link of it."),
        file: Path = typer.Argument(help="What to write; it must not be there yet."),
        seconds: float = typer.Option(None, min=0.0, help="For so long; else until Ctrl-C."),
        redis_url: str = typer.Option(None, help="The store of the servers.  [env: NANOBANA_REDIS_URL]"),
    ) -> None:
        """Record what one canvas is asked and what becomes of it, to find out later why."""
        _export(NANOBANA_REDIS_URL=redis_url)
        raise SystemExit(_part("nanobana_server.recorder.cli", "The server", "server").record(canvas, file, seconds))

    @app.command()
    def replay(
        file: Path = typer.Argument(help="What `nanobana record` wrote."),
        as_json: bool = typer.Option(False, "--json", help="For programs."),
    ) -> None:
        """Do everything in a recording again; say whether the canvas comes out the same, or where it differs first."""
        raise SystemExit(_part("nanobana_server.recorder.cli", "The server", "server").play(file, as_json=as_json))

    @app.command()
    def assets(
        query: str = typer.Argument(None, help="A prompt in any language: what would be drawn for it."),
        language: str = typer.Option(None, help="List the names in this language instead, e.g. de."),
    ) -> None:
        """Say which pictures the built-in model knows, and in how many languages."""
        raise SystemExit(_part("nanobana_engine.assets.cli", "The engine", "engine").run(query, language))


def _doctor(*, as_json: bool) -> int:
    from nanobana import findings

    found = [findings.Finding(what="nanobana", text=f"{__version__} on Python {platform.python_version()}")]
    for module, what, extra in (
        ("nanobana_server.allinone.doctor", "server", "server"),
        ("nanobana_engine.models.doctor", "engine", "engine"),
    ):
        try:
            found += importlib.import_module(module).look()
        except ModuleNotFoundError as error:
            text, advice = f"not installed (no {error.name})", f"pip install 'nanobana[{extra}]'"
            found.append(findings.Finding(what=what, state="fail", text=text, advice=advice))
        except Exception as error:  # noqa: BLE001 - a broken package or machine is what it is asked to find
            text, advice = f"cannot be looked at: {error}", f"pip install --force-reinstall 'nanobana[{extra}]'"
            found.append(findings.Finding(what=what, state="fail", text=text, advice=advice))
    print(findings.as_json(found) if as_json else findings.as_text(found))
    return 1 if findings.is_broken(found) else 0


def _told(what: str, *words: object) -> Any:
    """Call one of `nanobana.sdk.files`; ends the process with a sentence where that is refused."""
    import anyio

    from nanobana.protocol.errors import NanobanaError
    from nanobana.sdk import files

    try:
        return anyio.run(getattr(files, what), *words)
    except (NanobanaError, OSError) as error:
        _fail(str(error), 1)


def _export(**settings: object) -> None:
    """Options become the environment that every part reads, so that there is one way to be told something."""
    os.environ.update({name: str(value) for name, value in settings.items() if value is not None})


def _probe() -> int:
    import anyio

    probe = _part("nanobana.probe", "The engine", "engine")
    try:
        well = anyio.run(probe.engine_is_well, os.environ.get("NANOBANA_REDIS_URL", "redis://127.0.0.1:6379/0"))
    except Exception as error:  # noqa: BLE001 - whatever it is, the engine is not known to be well
        _fail(str(error), 1)
    return 0 if well else 1


def _need(package: str, what: str, extra: str) -> None:
    if importlib.util.find_spec(package) is None:
        _fail(f"{what} is not installed. Install it with: pip install 'nanobana[{extra}]'", 69)


def _part(module: str, what: str, extra: str) -> Any:
    """The module of an optional part; ends the process when the part, or a package it needs, is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        _fail(f"{what} is not installed (no {error.name}). Install it with: pip install 'nanobana[{extra}]'", 69)


def _fail(sentence: str, code: int) -> NoReturn:
    print(f"nanobana: {sentence}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
