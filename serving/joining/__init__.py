"""Decisions and what came of them, as rows of one decision log."""
