"""The portraits' classes; a class id is the place of its name."""

from __future__ import annotations

CLASSES = (
    "background",
    "face",
    "eyes",
    "eyebrows",
    "nose",
    "mouth",
    "ears",
    "hair",
    "neck",
    "clothes",
    "glasses",
)
"""Class names. Glasses are frame and lenses, whatever is seen through them; eyes include lids' lashes."""

FINE_CLASSES = (*CLASSES, "teeth", "iris")
"""Class names with the sub-parts that are large enough from 128 px on; without them teeth are mouth, irises eyes."""

FACE, EYES, EYEBROWS, NOSE, MOUTH, EARS, HAIR, NECK, CLOTHES, GLASSES, TEETH, IRIS = range(1, len(FINE_CLASSES))
