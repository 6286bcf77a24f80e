"""Commands about one log: check, evaluate, gate, compact, which-estimator."""
