"""Sequence encoders, one file per model."""
