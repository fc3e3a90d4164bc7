"""What all tests have in common: how hypothesis looks for counterexamples.

The same examples in every run, and as much time for each as it takes: a run that fails by chance,
or on a busy machine, says nothing about the change that it is made for. Others are looked for with
``pytest --hypothesis-profile=search``, new ones each time.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "steady",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
    database=None,
)
settings.register_profile(
    "search",
    settings.get_profile("steady"),
    derandomize=False,
    max_examples=1_000,
    print_blob=True,
)
settings.load_profile("steady")
