#!/usr/bin/env bash
# LayerMatch (Galeev et al. 2020) against random start weights: does an encoder that learned a generator's activations
# need fewer real labels? Usage: runs/layermatch.sh xray|wbc|portraits [FOLDER to work in]
# Needs gannotate and python on the PATH; X-rays and blood cells the real pictures of ../shared/data too.
# Cells: labels x seed x start weights -> train on REAL labelled pictures -> evaluate; json a cell under FOLDER/cells, skipped
# when it is there: the same command goes on where it stopped. At the end a table, with glasses shown apart on portraits.
# Settings: SHOTS, SEEDS, INITS (of random layermatch distilled imagenet), PRETRAIN_STEPS, STEPS, ARCHITECTURE, GENERATOR,
# DECODER (folder of a decoder of that generator, for INITS with distilled).
# Time on one idle core at 64 px: 0.17 s a step of pre-training (2000 steps: 6 minutes), 0.25 s a step of a cell.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."
domain=${1:?which pictures: xray, wbc or portraits}
out=${2:-scratch/runs/layermatch-$domain}
: "${SHOTS:=1 5 10 20 50}" "${SEEDS:=0 1 2}" "${INITS:=random layermatch}" "${ARCHITECTURE:=unet}"
: "${PRETRAIN_STEPS:=2000}" "${PRETRAIN_FLAGS:=}" "${STEPS:=300}" "${TRAIN_FLAGS:=--learning-rate 0.0005}" "${DECODER:=}"
data=${DATA:-../shared/data}/$domain new_flags=""
labelled=$data/pool.zip test=$data/test.zip generator=trained/$domain
case $domain in
  xray) classes="background,right lung,left lung" ;;
  wbc) classes="background,nucleus,cytoplasm" new_flags="--mirror yes --turn90" ;;
  portraits)
    classes="background,face,eyes,eyebrows,nose,mouth,ears,hair,neck,clothes,glasses" new_flags="--mirror yes"
    labelled=$out/labelled.zip test=$out/test.zip generator=src/gannotate/assets/portraits/generator
    ;;
  *) echo "unknown pictures $domain: give xray, wbc or portraits" >&2 && exit 2 ;;
esac
generator=${GENERATOR:-$generator} project=$out/project cells=$out/cells
mkdir -p "$cells"

. runs/cells.sh

if [ "$domain" = portraits ]; then # the seeds of runs/portraits.sh: never the generator's own pictures
  [ -e "$labelled" ] || gannotate render portraits -n 2000 --first-seed 100000 --out "$labelled"
  [ -e "$test" ] || gannotate render portraits -n 200 --first-seed 1000000 --out "$test"
fi
[ -e "$project/project.yaml" ] || gannotate new "$project" --classes "$classes" --generator "$generator" $new_flags

# weights INIT: the start weights of the cells called so, pre-trained when they are not there yet
weights() {
  case $1 in random | imagenet) echo "$1" && return ;; esac
  local distill=""
  [ "$1" = layermatch ] || distill="--distill ${DECODER:?distilled needs DECODER=folder of a decoder}"
  cell "pretrain-$1" gannotate pretrain "$project" --method layermatch --out "$out/$1" --architecture "$ARCHITECTURE" \
    --steps "$PRETRAIN_STEPS" $distill $PRETRAIN_FLAGS
  cell "figure-$1" gannotate pretrain "$project" --method layermatch --out "$out/$1" --architecture "$ARCHITECTURE" \
    --steps "$PRETRAIN_STEPS" $distill $PRETRAIN_FLAGS --figure "$labelled"
  echo "$out/$1"
}

for init in $INITS; do
  start=$(weights "$init")
  for seed in $SEEDS; do
    for shots in $SHOTS; do
      name=$init-shots$shots-seed$seed
      cell "$name-train" gannotate train "$project" --labelled "$labelled" --shots "$shots" --seed "$seed" \
        --architecture "$ARCHITECTURE" --steps "$STEPS" --weights "$start" $TRAIN_FLAGS
      segmenter=$(python -c 'import json,sys; print(json.load(open(sys.argv[1]))["segmenter"])' "$cells/$name-train.json")
      cell "$name-evaluate" gannotate evaluate "$project" --segmenter "$segmenter" --test "$test"
    done
  done
done

python - "$cells" <<'TABLE'
import json, re, statistics, sys
from pathlib import Path

found: dict[tuple[str, int], list[tuple[float, float | None]]] = {}
for path in Path(sys.argv[1]).glob("*-evaluate.json"):
    name = re.fullmatch(r"(\w+)-shots(\d+)-seed(\d+)-evaluate", path.stem)
    if name:
        scores = json.loads(path.read_text())
        row = scores["miou"], scores["per_class"].get("glasses")
        found.setdefault((name[1], int(name[2])), []).append(row)
print("init          labels  seeds  mIoU (deviation)  glasses")
for (init, shots), rows in sorted(found.items(), key=lambda item: (item[0][1], item[0][0])):
    scores, rare = [row[0] for row in rows], [row[1] for row in rows if row[1] is not None]
    shown = f"{statistics.mean(rare):.3f}" if rare else "-"
    print(f"{init:<12}{shots:>8}{len(rows):>7}  {statistics.mean(scores):.3f} ({statistics.pstdev(scores):.3f})    {shown:>10}")
TABLE
