"""The life of a job: accepted, run, ended."""
