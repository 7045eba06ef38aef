"""Settings that every test shares."""

import os

from hypothesis import settings

settings.register_profile("dev", max_examples=25, deadline=None)
settings.register_profile("ci", parent=settings.get_profile("ci"), max_examples=200)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
