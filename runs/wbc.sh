#!/usr/bin/env bash
# White blood cells, from unlabelled pictures to the table, on a CPU. Usage: runs/wbc.sh [FOLDER to work in]
# Needs the real pictures of ../shared/data/wbc and gannotate on the PATH. The same command goes on where it stopped.
# Expected (60 test pictures, 3 seeds; one and five labels): .716 and .832 mIoU, supervised .701 and .841 (docs/results.md).
# Time on two idle cores: generator about 90 minutes (340 kimg), annotator 2, a seed 15.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${DATA:-../shared/data}/wbc
export OUT=${1:-scratch/runs/wbc}
export GENERATOR=${GENERATOR:-$OUT/generator}
# a generator from elsewhere (GENERATOR=DIR) is taken as it is; one of this run is trained to its end
[ "$GENERATOR" != "$OUT/generator" ] ||
  gannotate train-generator "$data/unlabelled.zip" --out "$GENERATOR" --preset tiny --mirror --turn90 --kimg "${KIMG:-340}" \
    --attribution "Acevedo et al. 2020, peripheral blood cells (PBC)" --licence "CC BY 4.0"
# chosen on the 40 pictures of pool.zip, which the annotator learned from and the segmenters do not see: docs/log.md
export CLASSES="background,nucleus,cytoplasm" NEW_FLAGS="--mirror yes --turn90" TRAIN_FLAGS="--photometric"
export SEGMENTER_FLAGS="" SEGMENTER_STEPS="${SEGMENTER_STEPS:-1000}"
export LABELLED=$data/pool.zip TEST=$data/test.zip
bash runs/few_labels.sh
