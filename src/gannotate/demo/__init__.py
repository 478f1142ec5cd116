"""The demonstration: from a shipped generator and a few shipped annotations to a segmenter, and how good it is.

Everything is done as with a user's own project, and the folder that it leaves is one. The segmenter is tested on
rendered portraits that nothing before it has seen, beside the two floors and a supervised segmenter that learned from
as many exactly labelled renders.
"""

from gannotate.demo.run import StageProgress, read_result, run_demo, shipped_portraits
from gannotate.demo.stages import DemoConfig

__all__ = ["DemoConfig", "StageProgress", "read_result", "run_demo", "shipped_portraits"]
