"""Bad input, at scale: every reader is given damaged and hostile files, see docs/fuzzing.md.

python -m bench.fuzz --inputs 1000000 --out scratch/fuzz         # goes on where it was
python -m bench.fuzz --only coco,matlab --inputs 20000
python -m bench.fuzz --engine atheris --only pickle --inputs 50000
python -m bench.fuzz --replay --out scratch/fuzz                  # inputs that once failed, again
"""
