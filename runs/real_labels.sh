#!/usr/bin/env bash
# Labels of real pictures, by every method, on a CPU. Usage: runs/real_labels.sh [FOLDER to work in]
# Needs what runs/xray.sh, runs/wbc.sh and runs/portraits.sh leave in RUNS (their projects), the real pictures of
# ../shared/data, and gannotate on the PATH. The same command goes on where it stopped: a cell that is there is skipped.
# For every domain, number of labels and seed: supervised on the labels alone; gradient matching, also from a decoder
# that pseudo-labels started; MAML with one and two steps; pseudo-labels; inversion labels; and supervised on as many annotated generated pictures, the upper line. Each of
# them: fit, score the decoder on the annotated pool, synthesize, train, evaluate on the test pictures. METHOD-mixed: the
# same dataset, with the real labels in a quarter of each batch of the segmenter.
# Then the study of labels out of the domain (with DOMAINS="" that alone): 50 portraits of the flat style, tested on the
# natural one.
# Table and figures: `python runs/real_labels.py FOLDER` (called at the end).
# Time on one idle core, a cell: fit 2-6 minutes (see docs/results.md), synthesize 1, train 2.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${DOMAINS=xray wbc portraits}" "${SHOTS=2 10 30}" "${SEEDS:=0 1 2}" "${RUNS:=scratch/runs}" "${COUNT:=2000}"
: "${METHODS:=supervised gradient-matching gradient-matching-warm maml1 maml2 pseudo-labels inversion generated}" "${OUT_OF_DOMAIN:=yes}"
: "${STEPS:=500}" "${FIT_FLAGS:=}" "${TRAIN_FLAGS:=}" "${FLAT:=50}"
out=${1:-scratch/runs/real} data=${DATA:-../shared/data}
cells=$out/cells
mkdir -p "$cells"

. runs/cells.sh

# domain_of NAME: sets source (its finished run), labelled, test, augment and steps, as in its own script
domain_of() {
  augment="" steps=$STEPS
  case $1 in
  xray) source=xray labelled=$data/xray/pool.zip test=$data/xray/test.zip ;;
  wbc) source=wbc labelled=$data/wbc/pool.zip test=$data/wbc/test.zip augment="--photometric" steps=$((STEPS * 2)) ;;
  portraits) source=portraits labelled=$RUNS/portraits/labelled.zip test=$RUNS/portraits/test.zip ;;
  flat) source=portraits labelled=$out/flat.zip test=$RUNS/portraits/test.zip ;;
  *) echo "domain $1 is not known; use xray, wbc, portraits" >&2 && exit 2 ;;
  esac
}

# flags_of METHOD: what `fit` is told
flags_of() {
  case $1 in
  maml1) echo "--method maml --inner-steps 1" ;;
  maml2) echo "--method maml --inner-steps 2" ;;
  gradient-matching-inverted) echo "--method gradient-matching --begin inversion" ;;
  maml1-warm) echo "--method maml --inner-steps 1 --begin pseudo-labels" ;;
  # a decoder that starts from pseudo-labels, matched against a new segmenter (docs/log.md: what portraits need)
  gradient-matching-warm)
    echo "--method gradient-matching --begin pseudo-labels"
    ;;
  *) echo "--method $1" ;;
  esac
}

# row DOMAIN METHOD SHOTS SEED: all cells of one row of the table
row() {
  local method=${2%-mixed} shots=$3 seed=$4 trained=$1-$2-$3-seed$4 project=$out/$1/project mix=""
  local name=$1-$method-$3-seed$4
  domain_of "$1"
  [ "$method" = "$2" ] || mix="--labelled $labelled --shots $shots --mix 0.25"
  copy_project "$RUNS/$source/project" "$project"
  if [ "$method" = supervised ]; then
    cell "$name-train" gannotate train "$project" --labelled "$labelled" --shots "$shots" --steps "$STEPS" \
      --seed "$seed" $augment $TRAIN_FLAGS
  else
    if [ "$method" = generated ]; then
      cell "$name-fit" gannotate fit "$project" --shots "$shots" --seed "$seed"
    else
      cell "$name-fit" gannotate fit "$project" --from real --labelled "$labelled" --shots "$shots" --seed "$seed" \
        $(flags_of "$method") $FIT_FLAGS
    fi
    decoder=$(basename "$(field "$name-fit" decoder)")
    cell "$name-decoder" gannotate evaluate "$project" --of decoder --decoder "$decoder"
    cell "$name-synthesize" gannotate synthesize "$project" -n "$COUNT" --decoder "$decoder" --seed "$seed" \
      --out "$out/datasets/$name"
    cell "$trained-train" gannotate train "$project" --dataset "$out/datasets/$name" --steps "$steps" --seed "$seed" \
      $mix $TRAIN_FLAGS
  fi
  cell "$trained-evaluate" gannotate evaluate "$project" --segmenter "$(field "$trained-train" segmenter)" --test "$test"
}

for seed in $SEEDS; do
  for shots in $SHOTS; do
    for domain in $DOMAINS; do
      for method in $METHODS; do row "$domain" "$method" "$shots" "$seed"; done
    done
  done
  if [ "$OUT_OF_DOMAIN" = yes ]; then
    # seeds that no other picture of a portrait has
    [ -e "$out/flat.zip" ] || gannotate render portraits -n "$FLAT" --style flat --first-seed 2000000 --out "$out/flat.zip"
    for method in $METHODS; do
      [ "$method" = generated ] || row flat "$method" "$FLAT" "$seed"
    done
  fi
done
python runs/real_labels.py "$out"
