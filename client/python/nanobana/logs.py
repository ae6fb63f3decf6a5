"""Structured logs of servers and engines: one fact a line, one story per edit, no prompt, secret or name."""

import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, TextIO

import structlog

Fact = MutableMapping[str, Any]
Told = Callable[[Fact], None]
"""Is told every fact that is logged."""


def configure(
    part: str,
    level: str,
    *,
    as_json: bool,
    libraries: str = "WARNING",
    told: Told | None = None,
    out: TextIO = sys.stderr,
) -> None:
    """Set up structlog and the standard library's logging, which both write the same lines; once per process.

    Args:
        part: "server" or "engine": a field of every line.
        libraries: level of what is logged through the standard library.
        told: see `nanobana.spans`.
    """
    number = getattr(logging, level.upper(), logging.INFO)

    def name_part(_logger: object, _method: str, fact: Fact) -> Fact:
        fact["part"] = part
        return fact

    def tell(_logger: object, _method: str, fact: Fact) -> Fact:
        if told is not None:
            told(fact)
        return fact

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
        name_part,
        tell,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(default=str) if as_json else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, getattr(logging, libraries)))
