"""OpenTelemetry, where it is wanted: each logged fact of an edit becomes a span of its trace.

The log is the one place where the story is told; a span is the line with its ``trace`` and ``ms``. All spans of a trace
lie in one root, the author's wait for the acknowledgement, though several processes make them and nothing travels
between them: IDs of trace and root follow from the op's (`nanobana.protocol.trace`).
"""

import time
from typing import Any

from opentelemetry import trace as otel
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

from nanobana.logs import Fact
from nanobana.protocol.trace import root_of, trace_of

ROOTS = frozenset({"op saved", "op refused"})
"""Facts that are the root of a trace, where they are about the op that it is named after."""

_LEFT_OUT = frozenset({"trace", "event", "timestamp", "level", "part", "ms"})


class _Ids(IdGenerator):
    """Random, but for a root that is about to begin."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self.root: str | None = None

    def generate_trace_id(self) -> int:
        return int(self.root, 16) if self.root else self._random.generate_trace_id()

    def generate_span_id(self) -> int:
        return int(root_of(self.root), 16) if self.root else self._random.generate_span_id()


class Spans:
    """Makes spans of logged facts; called with each of them.

    Args:
        part: "server" or "engine".
        exporter: where spans go.
        at_once: export each before the next fact, instead of in batches by a thread.
    """

    def __init__(self, part: str, exporter: SpanExporter, *, at_once: bool = False) -> None:
        self._ids = _Ids()
        resource = Resource.create({"service.name": f"nanobana-{part}"})
        self._provider = TracerProvider(resource=resource, id_generator=self._ids)
        self._provider.add_span_processor(SimpleSpanProcessor(exporter) if at_once else BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("nanobana")

    def __call__(self, fact: Fact) -> None:
        trace = fact.get("trace")
        if not isinstance(trace, str):
            return
        name = str(fact.get("event", ""))
        ended = time.time_ns()
        began = ended - int(float(fact.get("ms") or 0.0) * 1e6)
        if name in ROOTS and trace_of(str(fact.get("op", ""))) == trace:
            self._ids.root = trace
            context = otel.set_span_in_context(otel.INVALID_SPAN)
        else:
            parent = SpanContext(int(trace, 16), int(root_of(trace), 16), is_remote=True, trace_flags=TraceFlags(1))
            context = otel.set_span_in_context(NonRecordingSpan(parent))
        try:
            span = self._tracer.start_span(name, context, start_time=began, attributes=_attributes(fact))
        finally:
            self._ids.root = None
        if fact.get("level") == "error" or fact.get("error_code"):
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended)

    def close(self) -> None:
        """Export what is left; waits for it a few seconds at most."""
        self._provider.shutdown()


def open_spans(part: str, url: str) -> Spans:
    """Spans that go to an OpenTelemetry collector.

    Args:
        url: where it takes OTLP over HTTP, e.g. ``http://127.0.0.1:4318``.

    Raises:
        ModuleNotFoundError: ``pip install 'nanobana[otel]'`` is missing.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return Spans(part, OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces"))


def _attributes(fact: Fact) -> dict[str, Any]:
    known = {key: value for key, value in fact.items() if key not in _LEFT_OUT and not key.startswith("_")}
    return {key: value if isinstance(value, bool | int | float) else str(value) for key, value in known.items()}
