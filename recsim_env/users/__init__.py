"""User models, one file each: a config, compiled functions about one user, and a `MODEL`."""
