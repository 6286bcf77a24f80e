"""Encoder states kept per user, and the best K items without a table of scores."""
