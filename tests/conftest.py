"""What holds for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# on a busy machine, or where tables of characters are built first, inputs come slowly
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
