"""Settings of every test."""

import os

import hypothesis

# Tests are seeded; `HYPOTHESIS_PROFILE=explore` looks at other examples each time.
hypothesis.settings.register_profile("seeded", derandomize=True, deadline=None)
hypothesis.settings.register_profile("explore", deadline=None, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "seeded"))
