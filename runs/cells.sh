# What the scripts beside it share; sourced, with `cells` set to the folder that holds the cells' json.

# cell NAME COMMAND...: runs the command once and keeps its json
cell() {
  local file=$cells/$1.json
  shift
  [ -s "$file" ] && return
  "$@" --json >"$file.part"
  mv "$file.part" "$file"
}

# field CELL NAME: a field of a cell's json
field() { python -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$cells/$1.json" "$2"; }

# copy_project FROM TO: generator, pool and annotations, so that FROM's decoders and segmenters stay its own
copy_project() {
  [ ! -e "$2/project.yaml" ] || return 0
  mkdir -p "$2"
  cp -r "$1/generator" "$1/pool" "$1/annotations" "$2"
  cp "$1/project.yaml" "$2"
}
