"""`longplay published` and `coverage`: published tables again, and the judge examined."""
