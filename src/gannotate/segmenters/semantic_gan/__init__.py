"""SemanticGAN (Li et al. 2021): pictures and labels drawn together, and pictures labelled by drawing them again."""

from gannotate.segmenters.semantic_gan.config import InferenceConfig, SemanticGANConfig
from gannotate.segmenters.semantic_gan.run import train_semantic_gan

__all__ = ["InferenceConfig", "SemanticGANConfig", "train_semantic_gan"]
