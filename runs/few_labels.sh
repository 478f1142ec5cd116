#!/usr/bin/env bash
# The whole way from a generator to a table of cells: called by xray.sh, wbc.sh and portraits.sh, which set
#   OUT (folder), GENERATOR (folder), CLASSES, NEW_FLAGS, LABELLED (real labels: images/ + masks/), TEST (the same, other
#   pictures), SHOTS, SEEDS, COUNT (synthetic pictures), STEPS and TRAIN_FLAGS (of every segmenter),
#   SEGMENTER_STEPS and SEGMENTER_FLAGS (of those that learn from generated pictures, when they differ).
# A simulated annotator (a network trained on all of LABELLED) labels the pool. Every cell writes json under OUT/cells and is
# skipped when it is there: run the same command again to go on. `python tools/write_results.py NAME=OUT` makes the table.
set -euo pipefail
: "${SHOTS:=1 5}" "${SEEDS:=0 1 2}" "${COUNT:=2000}" "${STEPS:=500}" "${POOL:=60}" "${NEW_FLAGS:=}" "${TRAIN_FLAGS:=}"
: "${SEGMENTER_STEPS:=$STEPS}" "${SEGMENTER_FLAGS=$TRAIN_FLAGS}"
project=$OUT/project cells=$OUT/cells
mkdir -p "$cells"

. runs/cells.sh

[ -e "$project/project.yaml" ] || gannotate new "$project" --classes "$CLASSES" --generator "$GENERATOR" $NEW_FLAGS

# the annotator: a network trained on all real labels
mkdir -p "$OUT/annotator"
cell annotator-train gannotate train "$project" --labelled "$LABELLED" --steps "${ANNOTATOR_STEPS:-500}" $TRAIN_FLAGS
annotator=$(python -c 'import json,sys; print(json.load(open(sys.argv[1]))["segmenter"])' "$cells/annotator-train.json")
cell annotator-evaluate gannotate evaluate "$project" --segmenter "$annotator" --test "$TEST"
cell sample gannotate sample "$project" -n "$POOL"
cell simulate gannotate simulate "$project" --segmenter "$annotator"
for seed in $SEEDS; do
  for shots in $SHOTS; do
    name=shots$shots-seed$seed
    cell "$name-fit" gannotate fit "$project" --shots "$shots" --seed "$seed"
    decoder=$(basename "$(field "$name-fit" decoder)")
    cell "$name-decoder" gannotate evaluate "$project" --of decoder --decoder "$decoder"
    cell "$name-synthesize" gannotate synthesize "$project" -n "$COUNT" --decoder "$decoder" --seed "$seed" \
      --out "$OUT/datasets/$name"
    cell "$name-train" gannotate train "$project" --dataset "$OUT/datasets/$name" --steps "$SEGMENTER_STEPS" \
      --seed "$seed" $SEGMENTER_FLAGS
    segmenter=$(field "$name-train" segmenter)
    cell "$name-evaluate" gannotate evaluate "$project" --segmenter "$segmenter" --test "$TEST"
    # the same number of real labels, the same network and augmentation, and the floors
    name=supervised$shots-seed$seed
    cell "$name-train" gannotate train "$project" --labelled "$LABELLED" --shots "$shots" --steps "$STEPS" --seed "$seed" $TRAIN_FLAGS
    segmenter=$(field "$name-train" segmenter)
    cell "$name-evaluate" gannotate evaluate "$project" --segmenter "$segmenter" --test "$TEST" \
      --labelled "$LABELLED" --shots "$shots" --seed "$seed"
  done
done
