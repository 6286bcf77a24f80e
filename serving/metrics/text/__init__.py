"""Signals and readings as the text that Prometheus reads."""
