"""A world fitted to real interactions."""
