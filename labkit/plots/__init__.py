"""Pictures: data in, Figure out. One module a picture; what they share is in ``style``."""

from labkit.plots.answers import class_shares, frozen_gauge, reliability
from labkit.plots.bars import bars
from labkit.plots.curves import curves
from labkit.plots.dashboard import dashboard
from labkit.plots.detectors import detectors
from labkit.plots.distances import distances, evidence, ks_gap
from labkit.plots.drift import drift
from labkit.plots.incident import incident
from labkit.plots.loop import loop
from labkit.plots.signals import signals
from labkit.plots.silent import silent_day
from labkit.plots.style import Picture
from labkit.plots.versions import versions

__all__ = [
    "Picture",
    "bars",
    "class_shares",
    "curves",
    "dashboard",
    "detectors",
    "distances",
    "drift",
    "evidence",
    "frozen_gauge",
    "incident",
    "ks_gap",
    "loop",
    "reliability",
    "signals",
    "silent_day",
    "versions",
]
