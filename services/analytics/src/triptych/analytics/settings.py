"""What an operator sets for analytics."""

from pathlib import Path

from pydantic import Field

from triptych.core.config import Settings
from triptych.service.settings import HttpSettings


class AnalyticsSettings(Settings):
    """The settings of analytics."""

    lake_url: str = Field(
        default="var/lake",
        description="The folder that holds the lake's tables.",
        examples=["/var/lib/triptych/lake"],
    )
    metrics_dir: Path = Field(
        default=Path("metrics"),
        description="The folder with the files that declare metrics.",
        examples=["examples/shop/metrics"],
    )
    analytics: HttpSettings = HttpSettings()
