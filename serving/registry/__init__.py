"""Versions of policies on disk, one pointer to the one that serves, and what served when."""
