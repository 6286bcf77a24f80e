"""Attacks on the framework's own promises, counted."""
