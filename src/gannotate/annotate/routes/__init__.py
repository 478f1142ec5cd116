"""What the annotator's server answers below /api/, one file a subject."""
