"""All faults, in the order of the table."""

from __future__ import annotations

from experiments.faults.catalogue_callers import CALLERS
from experiments.faults.catalogue_engine import ENGINE
from experiments.faults.catalogue_log import LOG
from experiments.faults.catalogue_releases import RELEASES
from experiments.faults.catalogue_state import STATE
from experiments.faults.releases import Release
from experiments.faults.service.fault import Fault

FAULTS: tuple[Fault | Release, ...] = tuple(
    sorted((*ENGINE, *STATE, *LOG, *CALLERS, *RELEASES), key=lambda f: (f.title[0] != "F", f.title))
)
BY_NAME = {fault.name: fault for fault in FAULTS}
