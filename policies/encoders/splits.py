"""The path that version 0.1 gave to policies.encoders.data.splits: the same module."""

import sys

from policies.encoders.data import splits

sys.modules[__name__] = splits
