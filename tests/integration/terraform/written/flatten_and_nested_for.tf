data "aws_caller_identity" "current" {
  lifecycle {
    postcondition {
      condition     = self.account_id == "222222222222"
      error_message = "wrong account ${self.account_id}"
    }
  }
}
locals {
  accounts = { "111111111111" = ["backend_role", "worker"] }
  arns     = flatten([for a, names in local.accounts : [for n in names : "arn:aws:iam::${a}:role/${n}"]])
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = local.arns
    }
    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = ["id-1"]
    }
  }
}

resource "aws_iam_role" "this" {
  name               = "role1"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}
