"""Traces: W3C Trace Context comes in, and spans go out through OpenTelemetry where they are wanted.

Without a provider of spans a request costs nothing here but the reading of its headers.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    ProxyTracerProvider,
    Span,
    SpanContext,
    SpanKind,
    Tracer,
    TracerProvider,
    format_span_id,
    format_trace_id,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from triptych.core.errors import TriptychError

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)
_from_client: ContextVar[str | None] = ContextVar("traceparent", default=None)


class NoExporter(TriptychError):
    """Traces cannot be sent: what sends them is not installed."""

    hint = "Install it: pip install 'triptych-service[otlp]'. Or set no endpoint."


def configure_tracing(service_name: str, endpoint: str | None) -> None:
    """Send the spans of the process to the collector at `endpoint` (OTLP over HTTP), if there is one.

    Call it once, at the entry point. What is not sent yet is sent when the process ends.

    Raises:
        NoExporter: the extra `otlp` is not installed.
    """
    if endpoint is None:
        return
    # Here, since who sends no traces shall not load what sends them.
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
    except ImportError:
        raise NoExporter(f"the endpoint is {endpoint!r}") from None
    provider = SdkTracerProvider(resource=Resource.create({"service.name": service_name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)


def current_traceparent() -> str | None:
    """The `traceparent` to hand on from the present request, if it belongs to a trace.

    It names our own span; without tracing, the client's, as it came.
    """
    span = trace.get_current_span().get_span_context()
    return _text(span) if span.is_valid else _from_client.get()


def active_tracer(provider: TracerProvider | None) -> Tracer | None:
    """What makes spans: of this provider, or of the process's; None when it would make none."""
    provider = provider or trace.get_tracer_provider()
    if isinstance(provider, ProxyTracerProvider):
        return None
    return provider.get_tracer("triptych.service")


@contextmanager
def tracing(tracer: Tracer | None, traceparent: str, tracestate: str) -> Iterator[tuple[str, Span]]:
    """Let a request belong to the client's trace, or to a new one: its id, and the request's span."""
    trace_id = _trace_id(traceparent)
    token = _from_client.set(traceparent if trace_id else None)
    try:
        if tracer is None:
            yield trace_id or os.urandom(16).hex(), trace.INVALID_SPAN
        else:
            carrier = {"traceparent": traceparent, "tracestate": tracestate} if trace_id else {}
            parent = TraceContextTextMapPropagator().extract(carrier, Context())
            span = tracer.start_span("request", parent, SpanKind.SERVER)
            # An error's words may tell a secret: they are for the log, which hides it.
            with trace.use_span(
                span, end_on_exit=True, record_exception=False, set_status_on_exception=False
            ):
                yield format_trace_id(span.get_span_context().trace_id), span
    finally:
        _from_client.reset(token)


def _trace_id(traceparent: str) -> str | None:
    found = _TRACEPARENT.fullmatch(traceparent)
    if not found or (found[2] and traceparent.startswith("00")):  # only later versions say more
        return None
    return found[1]


def _text(span: SpanContext) -> str:
    trace_id, span_id = format_trace_id(span.trace_id), format_span_id(span.span_id)
    return f"00-{trace_id}-{span_id}-{span.trace_flags:02x}"
