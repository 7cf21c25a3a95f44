"""What every HTTP service lets its operator set."""

from pydantic import Field

from triptych.core.config import Section


class HttpSettings(Section):
    """Where a service listens, and how it stops."""

    host: str = Field(
        default="127.0.0.1",
        description="The address to listen on. Only loopback is allowed while there are no keys.",
        examples=["127.0.0.1"],
    )
    port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="The TCP port to listen on; 0 takes a free one and logs it.",
        examples=[8001],
    )
    drain_seconds: float = Field(
        default=0,
        ge=0,
        le=300,
        description="How long to keep serving, with /readyz failing, after SIGTERM.",
        examples=[5],
    )
    shutdown_seconds: int = Field(
        default=25,
        ge=1,
        le=300,
        description="How long requests in flight may take to finish after that.",
        examples=[25],
    )
    header_bytes: int = Field(
        default=32_768,
        ge=1024,
        le=1_048_576,
        description="The most bytes of a request's line and headers.",
        examples=[32768],
    )
    header_seconds: float = Field(
        default=10,
        gt=0,
        le=300,
        description="How long a client may take to send them.",
        examples=[10],
    )


class TraceSettings(Section):
    """Where traces go."""

    endpoint: str | None = Field(
        default=None,
        description="The collector's URL for traces (OTLP over HTTP); without one there are none.",
        examples=["http://127.0.0.1:4318/v1/traces"],
    )
