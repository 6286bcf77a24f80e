"""The one error of this package about data: what was found, where, the rule, the fix."""

from __future__ import annotations


class LogError(ValueError):
    """A log, or a statement about it, breaks a rule; the message names the row and the fix."""


class NoOverlapError(LogError):
    """All weights are 0: the log says nothing about the target."""
