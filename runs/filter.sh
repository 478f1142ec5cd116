#!/usr/bin/env bash
# Does leaving the least certain pictures out of the dataset help (DatasetGAN's filter)? Usage: runs/filter.sh [FOLDER]
# Needs what runs/xray.sh and runs/portraits.sh leave in RUNS (their projects and tests), and gannotate on the PATH.
# Cells: domain x decoder (light: entropy; ensemble: disagreement of its members) x part kept x seed -> synthesize, train,
# evaluate; json a cell, skipped when it is there. `python tools/write_results.py filter=FOLDER` makes the table.
# Time on one idle core, a cell: 1 minute.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${DOMAINS:=xray portraits}" "${DECODERS:=light ensemble}" "${KEEP:=1 0.9 0.5}" "${SEEDS:=0}" "${SHOTS:=5}"
: "${RUNS:=scratch/runs}" "${COUNT:=2000}" "${STEPS:=300}"
out=${1:-scratch/runs/filter} data=${DATA:-../shared/data}
cells=$out/cells
mkdir -p "$cells"

. runs/cells.sh

for seed in $SEEDS; do
  for domain in $DOMAINS; do
    project=$out/$domain/project test=$data/$domain/test.zip
    [ "$domain" != portraits ] || test=$RUNS/portraits/test.zip
    copy_project "$RUNS/$domain/project" "$project"
    for decoder in $DECODERS; do
      taught=$domain-$decoder-seed$seed
      cell "$taught-fit" gannotate fit "$project" --decoder "$decoder" --shots "$SHOTS" --seed "$seed"
      name=$(basename "$(field "$taught-fit" decoder)")
      for keep in $KEEP; do
        made=$domain-$decoder-keep$keep-seed$seed
        cell "$made-synthesize" gannotate synthesize "$project" -n "$COUNT" --decoder "$name" --keep "$keep" --out "$out/datasets/$made"
        cell "$made-train" gannotate train "$project" --dataset "$out/datasets/$made" --steps "$STEPS" --seed "$seed"
        cell "$made-evaluate" gannotate evaluate "$project" --segmenter "$(field "$made-train" segmenter)" --test "$test"
      done
    done
  done
done
