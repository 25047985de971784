data "aws_caller_identity" "current" {
  lifecycle {
    postcondition {
      condition     = self.account_id == "222222222222"
      error_message = "wrong account ${self.account_id}"
    }
  }
}
variable "on" {
  type    = bool
  default = true
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
      values   = ["id-1"]
    }
  }
}

resource "aws_iam_role" "this" {
  tags               = { kind = var.on ? 1 : "none" }
  name               = "role1"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}
