"""`longplay calibrate`: a world fitted to real data, and its fidelity."""
