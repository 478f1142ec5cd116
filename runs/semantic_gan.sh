#!/usr/bin/env bash
# SemanticGAN as a baseline: a few labelled X-rays, all unlabelled ones, started from a generator of ours; on a CPU.
# Usage: runs/semantic_gan.sh [FOLDER to work in]. Needs the real pictures of ../shared/data/xray and gannotate on the
# PATH. A cell is skipped when it is there, and a training that was cut off is continued: run the same command again.
# Not run to its end yet, so nothing is expected. Time at 64 px, in seconds of a busy core: 0.45 a step for pairs,
# 0.5 for the encoder (batch 16), so about 16 minutes a cell; then 0.8 for each picture labelled in 100 steps (7 minutes
# for the test pictures), 0.03 by the encoder alone.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${DATA:-../shared/data}/xray
out=${1:-scratch/runs/semantic_gan} generator=${GENERATOR:-trained/xray}
: "${SHOTS:=1 5}" "${SEEDS:=0}" "${STEPS:=1200}" "${MINUTES:=}" "${SETTINGS:=}"
project=$out/project cells=$out/cells
mkdir -p "$cells"

. runs/cells.sh

[ -e "$project/project.yaml" ] ||
  gannotate new "$project" --classes "background,right lung,left lung" --generator "$generator"

for seed in $SEEDS; do
  for shots in $SHOTS; do
    name=shots$shots-seed$seed
    # SETTINGS: NAME=VALUE words for the method, e.g. "reach=branch encoder_steps=400"
    words=()
    for word in $SETTINGS; do words+=(--method-setting "$word"); done
    cell "$name-train" gannotate train "$project" --method semantic-gan --labelled "$data/pool.zip" --shots "$shots" \
      --unlabelled "$data/unlabelled.zip" --generator "$generator" --steps "$STEPS" --seed "$seed" \
      ${MINUTES:+--minutes "$MINUTES"} ${words[@]+"${words[@]}"}
    cell "$name-evaluate" gannotate evaluate "$project" --segmenter "$(field "$name-train" segmenter)" \
      --test "$data/test.zip" --labelled "$data/pool.zip" --shots "$shots" --seed "$seed"
  done
done
