"""Slate constraints and re-ranking objectives, applied before the draw."""
