#!/usr/bin/env bash
# Chest X-rays, from unlabelled pictures to the table, on a CPU. Usage: runs/xray.sh [FOLDER to work in]
# Needs the real pictures of ../shared/data/xray and gannotate on the PATH. The same command goes on where it stopped.
# Expected (538 test pictures, 3 seeds; one and five labels): .877 and .896 mIoU, supervised .648 and .849 (docs/results.md).
# Time on two idle cores: generator about 15 minutes, annotator 2, a seed 9.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${DATA:-../shared/data}/xray
export OUT=${1:-scratch/runs/xray}
export GENERATOR=${GENERATOR:-$OUT/generator}
# a generator from elsewhere (GENERATOR=DIR) is taken as it is; one of this run is trained to its end
[ "$GENERATOR" != "$OUT/generator" ] ||
  gannotate train-generator "$data/unlabelled.zip" --out "$GENERATOR" --preset tiny --kimg "${KIMG:-90}" \
    --attribution "Kermany, Zhang, Goldbaum 2018, chest X-ray images" --licence "CC BY 4.0"
export CLASSES="background,right lung,left lung" LABELLED=$data/pool.zip TEST=$data/test.zip
bash runs/few_labels.sh
