"""How hypothesis runs here: the same examples every time, and no opinion about how fast the machine is."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def load() -> None:
    """Make it the default; a test's own `settings` keep what they do not say."""
    settings.load_profile("steady")
