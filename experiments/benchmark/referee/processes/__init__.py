"""Data-generating processes whose truth is known."""
