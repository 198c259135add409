#!/bin/sh
# Writes .env from .env.example with a random value for each secret; what is there is never overwritten.
set -eu
cd "$(dirname "$0")/.."
[ ! -e .env ] || { echo ".env is there already; nothing was changed" >&2; exit 1; }
umask 077
while IFS= read -r line; do
  case "$line" in
    NATS_PASSWORD_*= | *_PASSWORD= | PIPEWRIGHT_SECRET= | PIPEWRIGHT_API_KEY=)
      line="$line$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')" ;;
  esac
  printf '%s\n' "$line"
done < .env.example > .env
