#!/bin/sh
# Takes over what the machine says about this lab: names, addresses, keys of all hosts.
set -eu
cp -a /run/lab/tree/. /
