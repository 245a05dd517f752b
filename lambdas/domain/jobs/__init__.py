"""A job, and the request that it serves."""
