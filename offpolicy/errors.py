"""The one error of this package about data: what was found, where, the rule, the mend."""

from __future__ import annotations


class LogError(ValueError):
    """A log, or what was said about it, breaks a rule; the message names the row and the mend."""


class NoOverlapError(LogError):
    """All weights are 0: the log says nothing of the target."""
