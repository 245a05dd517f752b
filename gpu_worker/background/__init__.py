"""Product backgrounds: cut a product out, paint a scene around it, and give its own pixels back unchanged."""
