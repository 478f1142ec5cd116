"""Segmenters that learn from a few labelled pictures and many without labels; one file a method."""
