"""The path that version 0.1 gave to experiments.logs.evaluate: the same module."""

import sys

from experiments.logs import evaluate

sys.modules[__name__] = evaluate
