#!/usr/bin/env bash
# Real pictures into the generators of three domains: encoders, the projector against them, gates, labels through the generator.
# Usage: runs/inversion.sh [FOLDER to work in]. Needs ../shared/data and, for the labels, the projects that runs/xray.sh,
# wbc.sh and portraits.sh leave in RUNS. The same command goes on where it stopped: what has its json is not run again.
# A generator folder with discriminator.safetensors is compared by its features too; without, by pixels alone.
# Goals: encoder + 100 steps at the 1,000-step projector's distance in a fifth of its time; gates refuse at least 90 % of
# other domains' pictures and at most 10 % of their own. Time on one idle core: an encoder 10 minutes, a projector run 2,
# the gates 8, the labels of a domain 1 to 5.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${DATA:-../shared/data} out=${1:-scratch/runs/inversion} runs=${RUNS:-scratch/runs}
: "${ENCODER_STEPS:=3000}" "${COUNT:=100}" "${REFINE:=100 200}" "${DOMAINS:=xray wbc portraits}"
declare -A generator=(
  [xray]=${XRAY:-trained/xray} [wbc]=${WBC:-trained/wbc} [portraits]=${PORTRAITS:-src/gannotate/assets/portraits/generator}
)
# real pictures that no generator was trained on: to calibrate a gate, and to test it
declare -A held_out=([xray]=$data/xray/pool.zip [wbc]=$data/wbc/pool.zip [portraits]=$out/portraits-held-out.zip)
declare -A tests=([xray]=$data/xray/test.zip [wbc]=$data/wbc/test.zip [portraits]=$out/portraits-test.zip)
declare -A classes=([xray]=3 [wbc]=3 [portraits]=11)
mkdir -p "$out"
[ -e "${held_out[portraits]}" ] ||
  gannotate render portraits -n 200 --size 64 --first-seed 2000000 --out "${held_out[portraits]}"
[ -e "${tests[portraits]}" ] || gannotate render portraits -n 200 --size 64 --first-seed 2001000 --out "${tests[portraits]}"

# cell NAME COMMAND...: runs the command once and keeps its json
cell() {
  local file=$out/$1.json
  shift
  [ -s "$file" ] && return
  "$@" >"$file.part"
  mv "$file.part" "$file"
}

domains=()
for name in $DOMAINS; do
  real=()
  # REAL=1: the encoder also learns to redraw the real pictures that the generator was trained on
  [ "${REAL:-0}" = 1 ] && [ -e "$data/$name/unlabelled.zip" ] && real=(--encoder-pictures "$data/$name/unlabelled.zip")
  # trains the encoder, and leaves side-by-side pictures of some held-out ones
  cell "invert-$name" gannotate invert "${held_out[$name]}" --generator "${generator[$name]}" --out "$out/$name" \
    --encoder "$out/encoder-$name" --encoder-steps "$ENCODER_STEPS" "${real[@]}" --steps 100 --json
  # shellcheck disable=SC2086
  cell "speed-$name" python bench/inversion.py speed --generator "${generator[$name]}" --encoder "$out/encoder-$name" \
    --pictures "${held_out[$name]}" --refine $REFINE --sheet "$out/speed-$name.png"
  domains+=(--domain "$name" "${generator[$name]}" "$out/encoder-$name" "${held_out[$name]}" "${tests[$name]}")
done
# shellcheck disable=SC2086
cell gates python bench/inversion.py gate "${domains[@]}" --count "$COUNT"

for name in $DOMAINS; do
  project=$runs/$name/project
  # the decoder of five labelled pictures, whose segmenter stands beside it in the table
  fitted=$runs/$name/cells/shots5-seed0-fit.json
  [ -e "$fitted" ] || continue
  decoder=$(python -c 'import json,sys; print(json.load(open(sys.argv[1]))["decoder"])' "$fitted")
  cell "predict-$name" gannotate predict "$project" "${tests[$name]}" --through generator --out "$out/labels-$name" \
    --decoder "$(basename "$decoder")" --encoder "$out/encoder-$name" --json
  cell "labels-$name" python bench/inversion.py labels --predicted "$out/labels-$name" --test "${tests[$name]}" --size 64 \
    --classes "${classes[$name]}"
done
