"""Serves the worker over HTTP: routes, bodies, answers, metrics and logs."""
