"""Users who are no people, or count for many: how to see them, and what they move."""
