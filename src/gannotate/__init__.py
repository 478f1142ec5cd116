"""gannotate: from a folder of unlabelled pictures and a handful of labels to a segmentation model you can ship."""

__version__ = "0.1.0"
