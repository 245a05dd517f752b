"""Trains a small text-to-image model on drawn scenes of flat coloured shapes: draws, captions, trains and judges."""
