data "aws_caller_identity" "current" {
  lifecycle {
    postcondition {
      condition     = self.account_id == "222222222222"
      error_message = "wrong account ${self.account_id}"
    }
  }
}
locals {
  settings = { ids = ["id-1"] }
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::111111111111:role/backend_role"]
    }
    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = try(local.settings.external_ids, local.settings.ids, ["none"])
    }
  }
}

resource "aws_iam_role" "this" {
  description        = can(local.settings.nothing) ? "yes" : "no"
  name               = "role1"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}
