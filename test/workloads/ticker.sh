#!/bin/sh
# usage: ticker.sh FILE: like cron, once a second it starts a program and appends what that says.
n=0
while :; do
  n=$((n + 1))
  echo "$n $(date +%s)" >>"$1"
  sleep 1
done
