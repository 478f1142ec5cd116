#!/usr/bin/env bash
# Every study that ships, at reduced size, on a CPU: portraits all of them, X-rays and blood cells the main ones; then the
# table of claims. Usage: runs/studies.sh [FOLDER to work in]
# Needs gannotate with the extra `imagenet` on the PATH, and for X-rays and cells the real pictures of ../shared/data (or $DATA). The same command goes
# on where it stopped, and several at once on one FOLDER share the cells. Narrow first: one seed, few steps, few labels; widen
# by SEEDS=3, NARROW=no (all values of the axes) and FULL=yes (each study's own steps and pictures).
# Settings: DOMAINS, STUDIES (names, in place of all), SEEDS, NARROW, FULL, PROCESSES, KNOWN (a folder whose figures are taken and
# not made again: docs/study-results).
# Time of one core: portraits 520 cells, 5 hours; X-rays 190, 2.5; cells 150, 1.5. At their own size (FULL=yes NARROW=no, a
# seed each, a domain) layermatch and, without GCT and SemanticGAN, gradient-matching take an hour each, the others
# together two hours, real-label-methods most of it. DRY=--dry-run says what would be done.
set -uo pipefail
cd "$(dirname "$0")/.."
: "${DOMAINS:=portraits xray wbc}" "${STUDIES:=}" "${SEEDS:=1}" "${NARROW:=yes}" "${FULL:=no}" "${PROCESSES:=1}" "${DRY:=}" "${KNOWN:=}"
export DATA=${DATA:-../shared/data}
out=${1:-scratch/studies/reduced}
failed=""

# study NAME [AXIS=VALUES...] [-- NAME=VALUE...]: one study on $domain, with the narrow values of its axes and the reduced
# values of its settings
study() {
  local name=$1 flags=() kind=--only
  shift
  [[ -z "$STUDIES" || " $STUDIES " == *" $name "* ]] || return 0
  [[ $domain == portraits || " $main " == *" $name "* ]] || return 0
  for one in "$@"; do
    if [[ $one == -- ]]; then
      kind=--set
    elif [[ ($kind == --only && $NARROW == yes) || ($kind == --set && $FULL == no) ]]; then
      flags+=("$kind" "$one")
    fi
  done
  gannotate study run "$name" --domain "$domain" --seeds "$SEEDS" --out "$out" --processes "$PROCESSES" ${KNOWN:+--known "$KNOWN"} $DRY "${flags[@]}" ||
    failed="$failed $name-$domain"
}

# reduced settings that many have; one value of each for all studies, so that they share their cells
fit="annotator_steps=1000 fit_most=300" own="generated_steps=200" real="steps=200" match="pretrain_steps=600"
data="$fit $own count=800"
# SemanticGAN is one of the ways only where all are
gan=""; [[ $NARROW == yes ]] || gan="gan_steps=300 encoder_steps=300"
# the few-label curve, algorithm 2, auto-shot, LayerMatch and gradient matching
main="algorithm2 auto-shot few-shot-decoders semantic-projection-pictures layermatch gradient-matching real-label-methods supervised-labels"

for domain in $DOMAINS; do
  study algorithm2 -- $data $real
  study auto-shot -- $data tested=40 projector_steps=100
  study semantic-projection-pictures -- $fit
  study few-shot-decoders -- $fit
  study few-shot-classes -- $fit
  study few-shot-structures shots=1,5 -- $fit
  study semantic-projection-width -- $fit
  study taps -- $fit
  study regions region=star-0,left-eye,eyes shots=1,5 -- pool=60 $fit
  study layermatch shots=1,5 -- $real $match
  study layermatch-classes -- labels=5 $real $match
  study layermatch-features -- $match
  study imagenet-features -- $match
  study pretrained-start shots=1,5,20 -- $data $real $match
  # with all its steps: it is what the claim is of
  study gradient-matching shots=2,10 way=supervised,mean-teacher,adversarial,gradient-matching \
    -- $gan $data $real fit_most=100000
  study supervised-labels shots=1,5,20,100 -- $data $real
  study teaching-gan shots=1,20 -- $data $real
  study filter -- labels=5 $data
  study synthetic-labels -- $data $real
  # gradient matching with all its steps: the other fits have fewer than 300
  study released-labels -- inversion_steps=100 count=800 $own $real
  study real-label-methods shots=10 -- first_steps=200 inversion_steps=100 $data
  study semi-supervised shots=5 -- gan_steps=300 encoder_steps=300 $data $real $match
  study segmenter-interval -- $fit
  study match-blocks -- $fit
  study match-blocks-deeplab match=all,res5,head -- $fit
  study pupil-size -- $fit
  study segmenter-states -- first_steps=200 $fit
  study segmenter-start -- $fit
  study segmenter-size -- $fit
  study more-labels -- $data
  study real-or-generated-labels -- $data
  study large-scale shots=10,40 -- $data $real
  study architectures -- $data
  study out-of-domain -- first_steps=200 inversion_steps=100 $data $real
  study inversion -- encoder_steps=1000 projector_steps=300 short=30 longer=60
  study generator-quality kimg=10,30 -- $data
  study feature-sources shots=5 -- simclr_steps=500 other_count=300 other_steps=200 projector_steps=100 tested=40 $fit $real $match
done

[[ -n $DRY ]] || gannotate study claims "$out" --write "$out/claims.md"
[[ -z $failed ]] || { echo "not whole:$failed" >&2 && exit 1; }
