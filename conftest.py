"""What holds for every test: the profiles of hypothesis."""

import os

from hypothesis import HealthCheck, settings

# `dev` is for the editor, `ci` for the last word. Both are deterministic: a failure comes back.
settings.register_profile("dev", max_examples=30, deadline=None, derandomize=True)
settings.register_profile(
    "ci",
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))
