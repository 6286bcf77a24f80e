"""Transitions, from a world or from a log, as learners read them."""
