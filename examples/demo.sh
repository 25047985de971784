#!/usr/bin/env bash
# The main job on the notes' accounts, as a person would run it.
set -euo pipefail
cd "$(dirname "$0")/.."
out=output/demo

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say '$ gen terraform examples/accounts.yaml --out '"$out"
gen terraform examples/accounts.yaml --out "$out"

say "What account1's security team reads: $out/customers/account1/main.tf"
sed -n '/^# Who may assume/,/^resource/p' "$out/customers/account1/main.tf" | sed '$d'

say '$ gen terraform once more: nothing changes, nothing is written'
gen terraform examples/accounts.yaml --out "$out" | tail -n 2

say '$ gen diff, after account3 lost its external id and account2 gained EC2 reading'
changed=$(mktemp -d)
trap 'rm -rf "$changed"' EXIT
sed -e '/name: account3/s/, external_id: "[^"]*"//' \
    -e '/name: account2/s/}$/, permissions: [s3-read, ec2-read]}/' examples/accounts.yaml > "$changed/accounts.yaml"
gen diff "$changed/accounts.yaml" --out "$out" || true

say "Next: read $out/backend/README.md, apply it, then hand each customer its folder under $out/customers/"
