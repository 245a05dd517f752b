"""Contains small functions that a deployment itself uses; each is inline in its template."""
