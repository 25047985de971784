#!/usr/bin/env bash
# Tells the story of rolecall with the example accounts, in the folder output/demo or the one given as argument.
# AWS is a sandbox on this machine: no request leaves it.
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:-output/demo}
mkdir -p "$work"
cp examples/accounts.yaml "$work/"
cd "$work"
rm -rf returned
trap 'runner sandbox down --quiet' EXIT

step() { printf "${between:-}"'\033[1m%s:\033[0m \033[36m%s\033[0m\n' "$1" "$2"; between='\n'; }

step "1. From one manifest, both sides of every trust, checked" "gen terraform"
gen terraform | grep -E ' written|Nothing to write| checked'

step "2. Prove who can assume what, over all requests" "gen prove"
gen prove
gen prove --format html > proof.html

step "3. A customer returns a module that trusts one more account" "gen check"
cp -r output/customers/account1 returned
sed -i.bak 's|"arn:aws:iam::111111111111:role/backend_role",|& "arn:aws:iam::999999999999:root",|' returned/main.tf
rm returned/main.tf.bak
{ gen check --path account1=returned || true; } | sed -n 1,2p

step "4. Apply it all, then try a role without its external ID" "runner sandbox up"
runner sandbox up --quiet
eval "$(runner sandbox env)"
{ aws sts assume-role --role-arn arn:aws:iam::222222222222:role/role1 --role-session-name me 2>&1 || true; } |
  sed -n 's/ operation:.*/ operation/p'

step "5. Verify the live roles, also with requests that must fail" "runner verify"
runner verify --limit 'account*'

step "6. Read from the customers' accounts" "runner query"
(runner query ec2 describe_vpcs --limit account1 --select 'Vpcs[].{vpc: VpcId, cidr: CidrBlock}') 2>&1 |
  sed -n '/^─/d; /^account/,$p'

step "7. Hand over all that account1 needs to review and apply" "gen bundle"
gen bundle account1 --quiet
gen bundle-check output/bundles/account1.zip
runner status | sed -n 1p

printf '\n\033[1mLook at next\033[0m, in %s:\n' "$work"
cat <<END
  proof.html                                  the proof, with a graph
  output/bundles/account1/review/review.html  the page for account1's reviewer
  output/customers/account1/main.tf           the module that account1 applies
Then read docs/tutorial.md (15 minutes). Your accounts: .venv/bin/gen init
END
