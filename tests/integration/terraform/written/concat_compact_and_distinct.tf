data "aws_caller_identity" "current" {
  lifecycle {
    postcondition {
      condition     = self.account_id == "222222222222"
      error_message = "wrong account ${self.account_id}"
    }
  }
}
variable "more" {
  type    = list(string)
  default = ["", "arn:aws:iam::111111111111:role/backend_role"]
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = distinct(compact(concat(["arn:aws:iam::111111111111:role/backend_role"], var.more)))
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
