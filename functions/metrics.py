"""What a function counts, for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter(
    "koubo_events_total",
    "Events by what became of them: accepted, repeated, reconciled, ignored, misplaced, full, "
    "settled, failed.",
    ["function", "outcome"],
)
REFUSED = Counter(
    "koubo_requests_refused_total",
    "Requests to the event door that were refused, by the status that they got.",
    ["function", "status"],
)
WAITING = Gauge("koubo_events_waiting", "Events that wait in memory.", ["function"])
REQUESTS = Counter(
    "koubo_http_requests_total",
    "Requests to the gateway by route and status.",
    ["method", "route", "status"],
)
HANDLING = Histogram(
    "koubo_handle_seconds",
    "Wall time of one attempt at an event.",
    ["function"],
    buckets=(0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800),
)
GRAPH_RUNS = Counter(
    "koubo_infer_graph_runs_total",
    "Runs of a model's graph by the backend and by how they went: ok, or the fault.",
    ["backend", "outcome"],
)
GRAPH_SECONDS = Histogram(
    "koubo_infer_graph_seconds",
    "Wall time of one run of a model's graph.",
    ["backend"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
)
BACKEND_UP = Gauge(
    "koubo_infer_backend_up",
    "1 while this process uses the backend, 0 while it is out: lost, absent or without memory.",
    ["backend"],
)
