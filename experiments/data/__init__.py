"""Public data sets as logs and sequences."""
