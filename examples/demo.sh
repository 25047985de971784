#!/usr/bin/env bash
# Runs the main commands on the example accounts. AWS is a sandbox on this machine: no request leaves it.
set -euo pipefail
cd "$(dirname "$0")/.."
work=output/demo
manifest=examples/accounts.yaml
out=$work/modules
home=$work/sandbox
mkdir -p "$work"
trap 'runner sandbox down --home "$home" --quiet; [ -z "${changed:-}" ] || rm -rf "$changed"' EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "1. Generate both sides of every trust, parse them back and prove them:  gen terraform"
gen terraform "$manifest" --out "$out"

say "   The file that account1's security team reviews: $out/customers/account1/main.tf"
sed -n '/^# Trust policy/,/^resource/p' "$out/customers/account1/main.tf" | sed '$d'

say "2. Show who can assume what:  gen prove"
gen prove "$manifest" --out "$out"
gen prove "$manifest" --out "$out" --format html > "$work/proof.html"
echo "the same as an HTML page with a graph: $work/proof.html"

say "3. Check an edited module that a customer returned:  gen check --path"
changed=$(mktemp -d)
cp -r "$out/customers/account1" "$changed/"
sed -i.bak 's|"arn:aws:iam::111111111111:role/backend_role",|&\n        "arn:aws:iam::999999999999:root",|' "$changed/account1/main.tf"
rm "$changed/account1/main.tf.bak"
gen check "$manifest" --out "$out" --path "$changed/account1" | head -n 3 || true

say "4. Apply everything to the sandbox:  runner sandbox up"
runner sandbox up "$manifest" --out "$out" --home "$home"
eval "$(runner sandbox env --home "$home")"

say "5. Verify every account as the backend role:  runner verify"
runner verify "$manifest" --out "$out" --runs "$work/runs"

say "6. Query account1:  runner query"
runner query ec2 describe_vpcs --manifest "$manifest" --out "$out" --limit account1 --select 'Vpcs[].{vpc: VpcId, cidr: CidrBlock}'

say "7. Print the link with which a user switches roles in the console:  runner switch-url"
runner switch-url reena-in-sumesh --manifest "$manifest"

say "8. Build the bundle for account1, with every form that it can apply:  gen bundle"
gen bundle account1 --manifest "$manifest" --out "$out"
gen bundle-check "$out/bundles/account1.zip"
runner status --manifest "$manifest" --out "$out" --sandbox

say "Next: run gen init, enter your accounts in accounts.yaml, then run gen terraform and verify them in AWS"
