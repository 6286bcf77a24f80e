"""Longplay: recsim_env."""
