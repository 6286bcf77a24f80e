"""`longplay trial`: A/B tests before they start, and while they run."""
