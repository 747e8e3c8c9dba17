"""What a function counts, for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter(
    "koubo_events_total",
    "Events by what became of them: accepted, ignored, full, settled, failed.",
    ["function", "outcome"],
)
WAITING = Gauge("koubo_events_waiting", "Events that wait in memory.", ["function"])
HANDLING = Histogram(
    "koubo_handle_seconds",
    "Wall time of one attempt at an event.",
    ["function"],
    buckets=(0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800),
)
