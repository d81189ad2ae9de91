#!/usr/bin/env bash
# Runs a command and adds a JSON line: how long it took, and what left the device meanwhile.
#
# usage: measured.sh DEVICE COMMAND ARG...
set -uo pipefail
counter=/sys/class/net/$1/statistics/tx_bytes
shift
read -r sent_before <"$counter"
began_at=${EPOCHREALTIME/./}
"$@"
status=$?
ended_at=${EPOCHREALTIME/./}
read -r sent_after <"$counter"
printf '{"type":"measured","wallUs":%d,"wireBytes":%d}\n' \
  $((ended_at - began_at)) $((sent_after - sent_before))
exit "$status"
