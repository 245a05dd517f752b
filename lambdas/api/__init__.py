"""HTTP in, HTTP out: routes, schemas and the shapes of errors."""
