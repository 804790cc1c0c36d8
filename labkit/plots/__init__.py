"""Pictures: data in, Figure out. One module a picture; what they share is in ``style``."""

from labkit.plots.bars import bars
from labkit.plots.curves import curves
from labkit.plots.dashboard import dashboard
from labkit.plots.detectors import detectors
from labkit.plots.distances import distances, evidence, ks_gap
from labkit.plots.incident import incident
from labkit.plots.loop import loop
from labkit.plots.signals import signals
from labkit.plots.style import Picture
from labkit.plots.versions import versions

__all__ = [
    "Picture",
    "bars",
    "curves",
    "dashboard",
    "detectors",
    "distances",
    "evidence",
    "incident",
    "ks_gap",
    "loop",
    "signals",
    "versions",
]
