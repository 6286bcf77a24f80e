"""Longplay: offpolicy."""
