"""Choosing a setting or an estimator by evidence from the log."""
