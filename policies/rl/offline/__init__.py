"""Agents that learn from a log alone."""
