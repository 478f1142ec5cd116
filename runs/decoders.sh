#!/usr/bin/env bash
# Every kind of decoder on one project, from 1 to 10 labelled pictures: mIoU on the other labelled pictures, fit seconds,
# memory, parameters. Usage: runs/decoders.sh PROJECT [FOLDER for the cells]
# PROJECT is one whose pool is labelled (runs/xray.sh and runs/portraits.sh leave one, `gannotate demo --out DIR` too).
# DECODERS may carry settings: DECODERS="light+width=16 light+width=64+order=paper" runs/decoders.sh PROJECT FOLDER.
# The same command goes on where it stopped. Expected: see docs/results.md; about 10 minutes a seed on two idle cores.
set -euo pipefail
project=$1 cells=${2:-$1/runs/decoders}
: "${SHOTS:=1 5 10}" "${SEEDS:=0 1 2}" "${DECODERS:=light cnn mlp ensemble fpn linear}" "${FIT_FLAGS:=}"
mkdir -p "$cells"
for seed in $SEEDS; do
  for shots in $SHOTS; do
    for decoder in $DECODERS; do
      cell=$cells/$decoder-shots$shots-seed$seed
      [ -s "$cell.evaluate.json" ] && continue
      settings=$(tr '+' '\n' <<<"$decoder" | sed -n '2,$s/^/--setting /p' | tr '\n' ' ')
      gannotate fit "$project" --decoder "${decoder%%+*}" $settings --shots "$shots" --seed "$seed" --json $FIT_FLAGS >"$cell.fit.json.part"
      fitted=$(python -c 'import json,os,sys; print(os.path.basename(json.load(open(sys.argv[1]))["decoder"]))' "$cell.fit.json.part")
      mv "$cell.fit.json.part" "$cell.fit.json"
      gannotate evaluate "$project" --of decoder --decoder "$fitted" --json >"$cell.evaluate.json.part"
      mv "$cell.evaluate.json.part" "$cell.evaluate.json"
    done
  done
done
