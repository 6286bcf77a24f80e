"""The training loop of encoders, its losses and its resumable state."""
