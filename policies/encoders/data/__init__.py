"""Interaction sequences, checked once, and their splits."""
