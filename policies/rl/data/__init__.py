"""Transitions, from an environment or from a log, as learners read them."""
