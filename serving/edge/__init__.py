"""A cache near the user: an answer is shown again for as long as it is valid, as one decision."""
