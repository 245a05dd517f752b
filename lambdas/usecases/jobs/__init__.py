"""The life of a job: accepted, run, given an image, ended."""
