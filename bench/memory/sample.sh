#!/usr/bin/env bash
# One move of one job that is started for it, from this host to TARGET, so that nothing which an
# earlier move left behind counts. Prints JSON lines; whatever happens, no job is left on either
# host.
#
# usage: sample.sh TARGET WAY PROGRAM ARG...
# WAY is `page-server` or `rsync` (by-hand.sh), `record N` in one word for N rounds of pre-copy that
# only go into a sink on the target (record-rounds.ts), or the flags of migrate in one word.
set -euo pipefail
target=$1 way=$2
shift 2
bench=/shared/bench name=bench device=eth0 address=10.77.0.101/24
fill_seconds=240 sink_port=9998

# Fast enough to be asked for in any case: a host without the job is as it should be.
clear_host="
migrate stop $name >/dev/null 2>&1
migrate rm $name >/dev/null 2>&1
for pid in \$(pgrep -x 'bench-filling|bench-full'); do kill -9 \$pid; done
rm -rf /run/bare/$name
ip addr del $address dev $device 2>/dev/null
true"
sink=
clear_all() {
  sh -c "$clear_host"
  ssh "$target" "${sink:+kill $sink;} $clear_host"
}
trap clear_all EXIT
trap 'exit 1' INT TERM

case $way in
page-server | rsync | record*) "$bench/start-bare.sh" "$name" "$address" "$device" "$@" ;;
*) migrate run "$name" --l3 --dev "$device" --ip "$address" -- "$@" >/dev/null 2>&1 ;;
esac
for ((tries = fill_seconds * 20; tries > 0; tries--)); do
  pid=$(pgrep -x bench-full) && break
  sleep 0.05
done
[ -n "$pid" ] || { echo 'the job did not fill its memory in time' >&2; exit 1; }
anonymous=$(awk '/^Anonymous:/ { print $2 }' "/proc/$pid/smaps_rollup")
printf '{"type":"job","memoryBytes":%d,"areas":%d}\n' \
  $((anonymous * 1024)) "$(wc -l <"/proc/$pid/maps")"
sleep 0.2

status=0
measured=("$bench/measured.sh" "$device")
case $way in
page-server | rsync)
  "${measured[@]}" "$bench/by-hand.sh" "$way" "$name" "$target" || status=$?
  ;;
record*)
  listen="socat -u TCP-LISTEN:$sink_port,reuseaddr,fork OPEN:/dev/null"
  sink=$(ssh "$target" "$listen </dev/null >/dev/null 2>&1 & echo \$!")
  for _ in {1..100}; do
    ssh "$target" "ss -Hltn sport = :$sink_port | grep -q ." && break
    sleep 0.05
  done
  node "$bench/record-rounds.cjs" "$pid" "${way#record }" "$target" "$sink_port" || status=$?
  ;;
*)
  output=$("${measured[@]}" migrate "$name" "$target" --json $way) || status=$?
  printf '%s\n' "$output"
  # Done with warnings is done.
  [ "$status" != 3 ] || status=0
  [ "$status" = 0 ] || grep '"type":"error"' <<<"$output" >&2 || true
  ;;
esac
if [ "$status" = 0 ] && [ "${way#record}" = "$way" ]; then
  ssh "$target" pgrep -x bench-full >/dev/null || { echo 'it does not run there' >&2; status=1; }
fi
exit "$status"
