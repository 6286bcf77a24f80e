"""`longplay live`: users of a simulated world, served, logged, learnt from and served better."""
