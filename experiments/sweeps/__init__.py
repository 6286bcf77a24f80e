"""Many runs from one file: their cells, tables and folders, and the tuning of settings."""
