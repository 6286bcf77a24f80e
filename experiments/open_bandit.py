"""The path that version 0.1 gave to experiments.data.open_bandit: the same module."""

import sys

from experiments.data import open_bandit

sys.modules[__name__] = open_bandit
