"""Saved folders of policies and encoders: registry keys and arrays, no code."""
