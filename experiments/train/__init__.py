"""Commands that train a policy or an encoder, and rank encoders."""
