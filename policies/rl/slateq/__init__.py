"""SlateQ: decomposed values of slates."""
