#!/usr/bin/env bash
# Every way to train a segmenter, over the number of labels, on a CPU. Usage: runs/methods.sh [FOLDER to work in]
# Needs what runs/xray.sh, runs/wbc.sh and runs/portraits.sh leave in RUNS (their projects), the real pictures of
# ../shared/data, and gannotate on the PATH. The same command goes on where it stopped: a cell that is there is skipped.
# With labels of generated pictures: algorithm2 (Galeev et al. 2020: hard labels), auto-shot (Tritrong et al. 2021: soft
# labels, strong warps), ours (soft labels, the domain's own warps), online (drawn while training). With labels of real
# pictures: supervised, layermatch (an encoder that matched the generator's layers first), supervised-slow (from random
# weights with layermatch's step size), and with unlabelled pictures beside: pseudo-labels, adversarial, mean-teacher, gct, s4gan, semantic-gan. With both: mixed (a quarter of each batch real).
# Settings: DOMAINS, SHOTS, SEEDS, METHODS, STEPS, COUNT, RUNS. Start narrow (the default) and widen: SHOTS="1 5 10 20 50".
# Time on one idle core at 64 px, a cell: 1 minute supervised or on generated labels, 2 with unlabelled pictures (gct 3),
# semantic-gan 16. `python tools/write_results.py methods=FOLDER` makes the table.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${DOMAINS:=xray wbc portraits}" "${SHOTS:=1 5}" "${SEEDS:=0}" "${RUNS:=scratch/runs}" "${COUNT:=2000}" "${STEPS:=300}"
: "${METHODS:=supervised supervised-slow algorithm2 auto-shot ours online mixed layermatch pseudo-labels adversarial mean-teacher s4gan gct semantic-gan}"
: "${PRETRAIN_STEPS:=1000}"
out=${1:-scratch/runs/methods} data=${DATA:-../shared/data}
cells=$out/cells
mkdir -p "$cells"

. runs/cells.sh

# domain_of NAME: sets labelled, unlabelled, test and how real pictures are augmented, as in its own script
domain_of() {
  augment="" labelled=$data/$1/pool.zip unlabelled=$data/$1/unlabelled.zip test=$data/$1/test.zip
  case $1 in
  xray) ;;
  wbc) augment="--photometric" ;;
  portraits) labelled=$RUNS/$1/labelled.zip unlabelled=$out/portraits.zip test=$RUNS/$1/test.zip ;;
  *) echo "domain $1 is not known; use xray, wbc, portraits" >&2 && exit 2 ;;
  esac
}

# generated DOMAIN SHOTS SEED: a decoder from annotated generated pictures and its dataset; sets decoder and dataset
generated() {
  local name=$1-generated-$2-seed$3
  cell "$name-fit" gannotate fit "$project" --shots "$2" --seed "$3"
  decoder=$(basename "$(field "$name-fit" decoder)") dataset=$out/datasets/$name
  cell "$name-decoder" gannotate evaluate "$project" --of decoder --decoder "$decoder"
  cell "$name-synthesize" gannotate synthesize "$project" -n "$COUNT" --decoder "$decoder" --seed "$3" --out "$dataset"
}

# row DOMAIN METHOD SHOTS SEED: all cells of one row of the table
row() {
  local domain=$1 method=$2 shots=$3 seed=$4 name=$1-$2-$3-seed$4 floors="" how
  domain_of "$domain"
  project=$out/$domain/project
  copy_project "$RUNS/$domain/project" "$project"
  # the pictures that the generator learned from, drawn again
  [ "$domain" != portraits ] || [ -e "$unlabelled" ] ||
    gannotate render portraits -n 4000 --first-seed 0 --no-masks --out "$unlabelled"
  case $method in algorithm2 | auto-shot | ours | online | mixed) generated "$domain" "$shots" "$seed" ;; esac
  case $method in
  supervised) how="--labelled $labelled --shots $shots $augment" ;;
  supervised-slow) how="--labelled $labelled --shots $shots $augment --learning-rate 0.0005" ;;
  algorithm2) how="--dataset $dataset --labels hard" ;;
  auto-shot) how="--dataset $dataset --labels soft --warp repurpose" ;;
  ours) how="--dataset $dataset" ;;
  online) how="--online --decoder $decoder" ;;
  mixed) how="--dataset $dataset --labelled $labelled --shots $shots --mix 0.25" ;;
  layermatch)
    cell "$domain-pretrain" gannotate pretrain "$project" --method layermatch --out "$out/$domain/layermatch" \
      --steps "$PRETRAIN_STEPS"
    how="--labelled $labelled --shots $shots $augment --init $out/$domain/layermatch --learning-rate 0.0005"
    ;;
  semantic-gan) how="--method $method --labelled $labelled --shots $shots --unlabelled $unlabelled" ;;
  *) how="--method $method --labelled $labelled --shots $shots --unlabelled $unlabelled $augment" ;;
  esac
  # semantic-gan counts its own two phases of steps
  [ "$method" = semantic-gan ] || how="$how --steps $STEPS"
  cell "$name-train" gannotate train "$project" $how --seed "$seed"
  # the floors learn from the same real labels
  [ "$method" != supervised ] || floors="--labelled $labelled --shots $shots --seed $seed"
  cell "$name-evaluate" gannotate evaluate "$project" --segmenter "$(field "$name-train" segmenter)" --test "$test" $floors
}

for seed in $SEEDS; do
  for shots in $SHOTS; do
    for domain in $DOMAINS; do
      for method in $METHODS; do
        row "$domain" "$method" "$shots" "$seed"
      done
    done
  done
done
