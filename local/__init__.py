"""Runs the service on this machine: the deployed template on an AWS emulator, behind an HTTP front."""
