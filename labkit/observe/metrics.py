"""The metrics of a model service: what to import, in one list."""

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from labkit.observe.monitor import ModelMonitor
from labkit.observe.reference import Reference
from labkit.observe.tracking import ERROR_TYPES, track_prediction

__all__ = ["ERROR_TYPES", "ModelMonitor", "Reference", "exposition", "track_prediction"]


def exposition(registry: CollectorRegistry, accept: str | None = None) -> tuple[bytes, str]:
    """Return body and content type of a scrape, in the format that the ``Accept`` header asks for."""
    encode, content_type = choose_encoder(accept or "")
    return encode(registry), content_type
