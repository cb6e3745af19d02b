#!/usr/bin/env bash
# One version of each engine and wire crate in Cargo.lock. Two versions of arrow or datafusion compile,
# and then a type of one is not the type of the other: a plan node that the verifier does not
# recognise is a hole, not only an inconvenience.
set -euo pipefail
cd "$(dirname "$0")/.."

crates=(
  arrow arrow-array arrow-buffer arrow-schema arrow-ipc parquet
  datafusion datafusion-common datafusion-expr datafusion-physical-plan datafusion-datasource
  object_store sqlparser buoyant_kernel
  pgwire tokio rustls tokio-rustls aws-lc-rs hyper
)

failed=0
for crate in "${crates[@]}"; do
  versions=$(awk -v name="$crate" '$1 == "name" && $3 == "\"" name "\"" { getline; gsub(/"/, "", $3); print $3 }' Cargo.lock)
  count=$(printf '%s' "$versions" | grep -c . || true)
  if [ "$count" -gt 1 ]; then
    printf 'error: %s %s in Cargo.lock: %s\n' "$count" "versions of $crate" "$(echo $versions)" >&2
    printf '       see who wants them: cargo tree --invert %s@VERSION\n' "$crate" >&2
    failed=1
  fi
done
[ "$failed" -eq 0 ] && printf 'one version each of %s crates\n' "${#crates[@]}"
exit "$failed"
