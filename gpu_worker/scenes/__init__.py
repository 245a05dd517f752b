"""A small text-to-image model of our own: flat scenes of coloured shapes, drawn, captioned, learned and judged here."""
