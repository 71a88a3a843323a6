#!/usr/bin/env bash
# nightly.sh CLICKS FOLDER MODEL [ADMIN]
#
# Trains on the newest clicks, compares with the model in use on the newest day, and takes the new model into use unless
# it is more than 5 % worse (exit code 6). FOLDER/in-use is what `gru4rec-study serve` serves; ADMIN is the server's admin
# address. Everything of a night is kept in a folder of FOLDER.
set -euo pipefail
clicks=$1 model=$3 admin=${4:-}
mkdir -p "$2"
folder=$(cd "$2" && pwd)
config=${CONFIG:-$(dirname "$0")/../../configs/nightly.yaml}
night=$folder/$(date -u +%Y-%m-%dT%H%M%S)

study() { gru4rec-study "$1" --config "$config" --set "data.source=$clicks" --quiet "${@:2}"; }
value() { # of a model's MRR@20
  awk -F, -v model="$1" '$1 == model && $3 == "mrr" && $4 == 20 && $5 == "conservative" && $6 == "all" { print $7; exit }' \
    "$night/compared/evaluate/metrics.csv"
}

# The newest day is the test. Neither model has seen it.
study split --run-dir "$night/compared" > /dev/null
known=()
if [ -e "$folder/in-use" ]; then
  gru4rec-study recommend --bundle "$folder/in-use" --sessions "$night/compared/split/test.parquet" \
    --session session_id --item item_id --time time --each-click --k 20 --to "$night/in-use.parquet" --quiet
  known=(--set "evaluate.predictions.in_use=$night/in-use.parquet")
fi
study run --run-dir "$night/compared" "${known[@]}" > "$night/report.txt"
if [ -e "$folder/in-use" ]; then
  new=$(value "$model") old=$(value in_use)
  echo "MRR@20 on the newest day: $model $new, in use $old"
  if awk -v new="$new" -v old="$old" 'BEGIN { exit !(new < 0.95 * old) }'; then
    echo "the model in use stays" >&2
    exit 6
  fi
fi

# The model for use is fitted on all days, the newest one among them.
study run --run-dir "$night/all" --set split.test=0 > /dev/null
gru4rec-study export --run-dir "$night/all" --model "$model" --to "$night/bundle"
ln -sfn "$night/bundle" "$night/link"
mv -T "$night/link" "$folder/in-use" # at once: a server that loads it meanwhile sees the old one or the new one
if [ -n "$admin" ]; then
  curl --fail --silent --show-error -X POST "$admin/v1/reload"
fi
