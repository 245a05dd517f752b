"""Runs the AWS emulator: its process, its access control, and the deployment of the template."""
