#!/usr/bin/env bash
# Several hosts, all of their GPUs: the same command on each, over ssh.
#   scripts/launch_hosts.sh HOST[:PORT],HOST[:PORT],... TRAIN_ARGUMENTS...
# On every host the project lies at the same path, and --run_dir is on a file system that
# all share. A host called localhost is used without ssh. Interrupting this script
# interrupts all of them; the same command goes on.
set -euo pipefail
if [ $# -lt 2 ] || [ "${1#-}" != "$1" ]; then
  sed -n '3s/^# *//p' "$0" >&2
  exit 2
fi
IFS=, read -r -a hosts <<< "$1"
shift
project="$(cd "$(dirname "$0")/.." && pwd)"

workers=""
for host in "${hosts[@]}"; do
  [ "${host%:*}" = "$host" ] && host="$host:8888"
  workers="$workers${workers:+, }\"$host\""
done

pids=()
trap 'kill -TERM "${pids[@]}" 2>/dev/null || true' INT TERM
for index in "${!hosts[@]}"; do
  config="{\"cluster\": {\"worker\": [$workers]}, \"task\": {\"type\": \"worker\", \"index\": $index}}"
  command=$(printf '%q ' env "TF_CONFIG=$config" scripts/launch_worker.sh "$@")
  name="${hosts[$index]%:*}"
  if [ "$name" = localhost ]; then
    (cd "$project" && eval "exec $command") &
  else
    ssh -tt "$name" "cd $(printf '%q' "$project") && exec $command" &
  fi
  pids+=($!)
done

# The first that fails gives the status; the others end by themselves.
status=0
for pid in "${pids[@]}"; do
  code=0
  wait "$pid" || code=$?
  # An interruption of this script ends `wait` before the process has ended.
  while kill -0 "$pid" 2>/dev/null; do
    code=0
    wait "$pid" || code=$?
  done
  [ "$status" -ne 0 ] || status=$code
done
exit "$status"
