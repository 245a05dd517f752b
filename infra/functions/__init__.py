"""Small functions that serve a deployment itself; each goes into its template as text."""
