"""A shadow: a version that is asked what it would show, and shows nothing."""
