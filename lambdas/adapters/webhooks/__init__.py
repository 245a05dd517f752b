"""Sends webhooks over HTTP: the request, its signature, and the check of the URL."""
