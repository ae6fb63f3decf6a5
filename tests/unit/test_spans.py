"""Logged facts of an edit become spans of one trace, though every process makes its own."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from nanobana.logs import configure
from nanobana.protocol.canvas import OpId
from nanobana.protocol.trace import name_of, root_of, trace_of
from nanobana.spans import Spans

JOB = name_of(OpId("tab", 7))
TRACE = trace_of(JOB)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def test_the_parts_spans_lie_in_the_authors_wait_though_nothing_travels_between_them(
    exporter: InMemorySpanExporter,
) -> None:
    server, engine = (Spans(part, exporter, at_once=True) for part in ("server", "engine"))
    engine({"event": "job handed in", "trace": TRACE, "job": JOB, "ms": 250.0, "level": "info"})
    server({"event": "op saved", "trace": TRACE, "op": JOB, "kind": "edit", "ms": 12.5})
    server({"event": "op saved", "trace": TRACE, "op": "tab-8", "kind": "decide", "ms": 3.0})
    server({"event": "server ready"})
    made, root, decided = exporter.get_finished_spans()
    assert root.context is not None and made.context is not None and made.parent is not None
    assert root.parent is None and root.context.span_id == int(root_of(TRACE), 16)
    for span in (made, decided):
        assert span.parent is not None and span.context is not None
        assert (span.context.trace_id, span.parent.span_id) == (int(TRACE, 16), root.context.span_id)
        assert span.context.span_id != root.context.span_id
    assert made.end_time is not None and made.start_time is not None
    assert made.end_time - made.start_time == 250_000_000
    assert made.resource.attributes["service.name"] == "nanobana-engine"
    assert dict(made.attributes or {}) == {"job": JOB}


def test_an_edit_that_failed_is_a_failed_span(exporter: InMemorySpanExporter) -> None:
    Spans("engine", exporter, at_once=True)({"event": "job failed", "trace": TRACE, "error_code": "no_memory"})
    assert not exporter.get_finished_spans()[0].status.is_ok


def test_both_ways_of_logging_write_the_same_lines_and_tell_the_same_facts() -> None:
    out, told = io.StringIO(), []
    root, before = logging.getLogger(), (logging.getLogger().handlers[:], logging.getLogger().level)
    try:
        configure("engine", "info", as_json=True, libraries="INFO", told=lambda fact: told.append(dict(fact)), out=out)
        logging.getLogger("somebody.else").info("job claimed", extra={"trace": TRACE, "ms": 1.5})
        structlog.get_logger("any").info("job claimed", trace=TRACE, ms=1.5)
        logging.getLogger("somebody.else").debug("not this")
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
        structlog.reset_defaults()
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    del first["timestamp"], second["timestamp"]
    assert first == second
    assert first == {"event": "job claimed", "level": "info", "part": "engine", "trace": TRACE, "ms": 1.5}
    assert [fact["trace"] for fact in told] == [TRACE, TRACE]
