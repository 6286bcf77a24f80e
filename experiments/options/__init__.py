"""Settings of a command: its options, a file of settings, `--set`, and a run folder's own."""
