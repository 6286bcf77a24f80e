"""The path that version 0.1 gave to experiments.data.minari_data: the same module."""

import sys

from experiments.data import minari_data

sys.modules[__name__] = minari_data
