"""Longplay: policies."""
