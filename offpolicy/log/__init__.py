"""The decision log: one record, its checks, and the histories derived from it."""

from offpolicy.log.dataset import LoggedDataset

__all__ = ["LoggedDataset"]
