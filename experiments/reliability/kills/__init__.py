"""Runs that are killed or stopped at random moments, and started again."""
