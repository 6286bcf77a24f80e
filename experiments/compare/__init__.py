"""`longplay compare`: train, log, evaluate, gate and check policies in a world."""
