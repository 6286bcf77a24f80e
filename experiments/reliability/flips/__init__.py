"""Damaged folders: refused, or read with equal contents."""
