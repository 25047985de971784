#!/usr/bin/env bash
# The whole story on the notes' accounts, as a person would run it. AWS is a sandbox on this machine: nothing leaves it.
set -euo pipefail
cd "$(dirname "$0")/.."
work=output/demo
manifest=examples/accounts.yaml
home=$work/sandbox
mkdir -p "$work"
trap 'runner sandbox down --home "$home" --quiet; [ -z "${changed:-}" ] || rm -rf "$changed"' EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "1. Generate both sides of every trust, read them back, prove them:  gen terraform"
gen terraform "$manifest" --out "$work"

say "   What account1's security team reads: $work/customers/account1/main.tf"
sed -n '/^# Who may assume/,/^resource/p' "$work/customers/account1/main.tf" | sed '$d'

say "2. Who can assume what, cell by cell:  gen prove"
gen prove "$manifest" --out "$work"
gen prove "$manifest" --out "$work" --format html > "$work/proof.html"
echo "the same as a page with a picture: $work/proof.html"

say "3. A customer sends back an edited module:  gen check --path"
changed=$(mktemp -d)
cp -r "$work/customers/account1" "$changed/"
sed -i.bak 's|"arn:aws:iam::111111111111:role/backend_role",|&\n        "arn:aws:iam::999999999999:root",|' "$changed/account1/main.tf"
rm "$changed/account1/main.tf.bak"
gen check "$manifest" --out "$work" --path "$changed/account1" | head -n 3 || true

say "4. Apply it all to AWS on this machine:  runner sandbox up"
runner sandbox up "$manifest" --out "$work" --home "$home"
eval "$(runner sandbox env --home "$home")"

say "5. Call the roll, as the backend role:  runner verify"
runner verify "$manifest" --out "$work" --runs "$work/runs"

say "6. Ask every account the same question:  runner query"
runner query ec2 describe_vpcs --manifest "$manifest" --out "$work" --limit account1 --select 'Vpcs[].{vpc: VpcId, cidr: CidrBlock}'

say "7. For people: the link that switches roles in the console:  runner switch-url"
runner switch-url reena-in-sumesh --manifest "$manifest"

say "8. What account1 is handed, in every form that it may want to apply:  gen bundle"
gen bundle account1 --manifest "$manifest" --out "$work"
gen bundle-check "$work/bundles/account1.zip"
runner status --manifest "$manifest" --out "$work" --sandbox

say "Next: put your own accounts into accounts.yaml (gen init), then gen terraform and make this roll call in AWS"
