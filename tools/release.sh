#!/usr/bin/env bash
# Builds the wheel and proves it: installed into a new environment it runs; writes the list of everything in there.
# Usage: tools/release.sh [OUT]; PYTHON=python3.13 tools/release.sh for another Python (3.11 to 3.13).
# Leaves in OUT (dist/): the wheel, sbom.json (CycloneDX), and audit.txt (known vulnerabilities; needs the network, and
# says so when there is none).
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-dist} python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
pip="--quiet --disable-pip-version-check"
"$python" -m venv "$work/product"
"$work/product/bin/pip" wheel $pip --no-deps --wheel-dir "$out" .
wheel=$(ls -t "$out"/gannotate-*.whl | head -1)
"$work/product/bin/pip" install $pip -c constraints.txt "$wheel[export]"
cd "$work" # so that nothing is imported from the source tree
product/bin/python -m gannotate --version
product/bin/gannotate doctor
product/bin/gannotate render portraits -n 3 --out "$work/portraits"
cd - >/dev/null
"$python" -m venv "$work/tools"
"$work/tools/bin/pip" install $pip cyclonedx-bom pip-audit
"$work/tools/bin/cyclonedx-py" environment --output-reproducible --of JSON -o "$out/sbom.json" "$work/product/bin/python"
"$work/product/bin/pip" freeze --disable-pip-version-check --exclude gannotate | sed 's/ @ .*//; s/+cpu$//' >"$work/installed.txt"
"$work/tools/bin/pip-audit" --no-deps --disable-pip -r "$work/installed.txt" >"$out/audit.txt" 2>&1 && found=0 || found=$?
unasked=$(grep -c "could not be audited" "$out/audit.txt" || true)
echo "audit: $unasked of $(wc -l <"$work/installed.txt") packages could not be asked about, see $out/audit.txt"
[ "$found" = 0 ] || echo "audit: pip-audit found something or failed; it ends so: $(tail -n 1 "$out/audit.txt")"
echo "made $wheel and $out/sbom.json"
