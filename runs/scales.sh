#!/usr/bin/env bash
# Unaligned things at scales 0.5-2: auto-shot with RepurposeGAN's warp against the same network without it.
# Usage: runs/scales.sh DOMAIN [STEPS]; DOMAIN is portraits or wbc, after runs/DOMAIN.sh made its project.
# Both learn from the same soft-labelled dataset and see it as often; they are tested on composed scenes with exact label
# maps (runs/scales.py). Cut-outs of cells come from the domain's test pictures, which nothing here is chosen on.
# Not measured yet; put the tables of scales.py here.
set -euo pipefail
cd "$(dirname "$0")/.."
domain=$1 steps=${2:-1000} out=scratch/runs/$1
project=$out/project cells=$out/cells-scales
mkdir -p "$cells"

. runs/cells.sh

words=()
for warp in repurpose none; do
  cell "$warp-$steps" gannotate train "$project" --dataset "$out/datasets/shots5-seed0" --warp $warp --steps "$steps"
  words+=("$warp=$(field "$warp-$steps" segmenter)")
done
[ "$domain" = portraits ] || words+=(--labelled "${DATA:-../shared/data}/$domain/test.zip")
python runs/scales.py "${words[@]}" --out "$cells/scales-$steps.json"
