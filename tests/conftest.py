"""Hypothesis: the same examples in every run; ``--hypothesis-profile explore`` looks further."""

from hypothesis import settings

settings.register_profile("fixed", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile("fixed")
