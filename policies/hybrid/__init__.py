"""Candidates made offline by a cheap pass over the catalogue, reranked online."""
