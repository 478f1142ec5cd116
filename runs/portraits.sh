#!/usr/bin/env bash
# Portraits, from rendering to the table, on a CPU. Usage: runs/portraits.sh [FOLDER to work in]
# Needs nothing but gannotate on the PATH. The same command goes on where it stopped.
# Expected (200 fresh renders, 3 seeds; one and five labels): .511 and .596 mIoU, supervised .132 and .401 (docs/results.md).
# Time on two idle cores: generator about 60 minutes, annotator 6, a seed 10. To take the generator that ships:
# GENERATOR=src/gannotate/assets/portraits/generator runs/portraits.sh
set -euo pipefail
cd "$(dirname "$0")/.."
export OUT=${1:-scratch/runs/portraits}
export GENERATOR=${GENERATOR:-$OUT/generator}
mkdir -p "$OUT"
# the generator's pictures, the real labels and the test pictures: seeds that never overlap
[ -e "$OUT/unlabelled.zip" ] || [ -e "$GENERATOR/model.safetensors" ] ||
  gannotate render portraits -n 20000 --first-seed 0 --no-masks --out "$OUT/unlabelled.zip"
[ -e "$OUT/labelled.zip" ] || gannotate render portraits -n 2000 --first-seed 100000 --out "$OUT/labelled.zip"
[ -e "$OUT/test.zip" ] || gannotate render portraits -n 200 --first-seed 1000000 --out "$OUT/test.zip"
# a generator from elsewhere (GENERATOR=DIR) is taken as it is; one of this run is trained to its end
[ "$GENERATOR" != "$OUT/generator" ] ||
  gannotate train-generator "$OUT/unlabelled.zip" --out "$GENERATOR" --preset tiny --mirror --kimg "${KIMG:-190}" \
    --attribution "rendered by gannotate render portraits" --licence "Apache-2.0"
export CLASSES="background,face,eyes,eyebrows,nose,mouth,ears,hair,neck,clothes,glasses" NEW_FLAGS="--mirror yes"
export LABELLED=$OUT/labelled.zip TEST=$OUT/test.zip ANNOTATOR_STEPS=1500
bash runs/few_labels.sh
