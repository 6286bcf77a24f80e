"""What may be shown, and re-ranking objectives, applied before the draw."""
