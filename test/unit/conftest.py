"""Hypothesis: machines are busy and slow at times; that is no failure."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "mase", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("mase")
