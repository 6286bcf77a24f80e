"""Faults, put into a live service on purpose: who sees them, how soon, and what becomes of the log."""
