"""Logs larger than memory: moments of shards, which add up."""
