data "aws_caller_identity" "current" {
  lifecycle {
    postcondition {
      condition     = self.account_id == "222222222222"
      error_message = "wrong account ${self.account_id}"
    }
  }
}
locals {
  vendors = [{ arn = "arn:aws:iam::111111111111:role/backend_role" }, { arn = "arn:aws:iam::111111111111:role/b" }]
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = local.vendors[*].arn
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
