"""Outgoing events over HTTP: the call, its signature, and which addresses are allowed."""
