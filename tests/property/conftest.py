"""How many examples: few on every run, many with `pytest tests/property --hypothesis-profile deep`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("ci", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deep", parent=settings.get_profile("ci"), max_examples=5_000)
settings.load_profile("ci")
