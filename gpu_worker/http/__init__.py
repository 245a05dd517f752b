"""The worker's HTTP server: routes, bodies, answers, metrics and log lines."""
