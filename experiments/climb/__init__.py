"""`longplay climb`: learn, step, serve, log, repeat."""
