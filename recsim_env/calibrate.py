"""The path that version 0.1 gave to recsim_env.calibration.calibrate: the same module."""

import sys

from recsim_env.calibration import calibrate

sys.modules[__name__] = calibrate
