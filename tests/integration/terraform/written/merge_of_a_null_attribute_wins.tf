data "aws_caller_identity" "current" {
  lifecycle {
    postcondition {
      condition     = self.account_id == "222222222222"
      error_message = "wrong account ${self.account_id}"
    }
  }
}
variable "trust" {
  type    = object({ id = optional(string) })
  default = {}
}
locals {
  trust = merge({ id = "id-1" }, var.trust)
}
data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::111111111111:role/backend_role"]
    }
    dynamic "condition" {
      for_each = local.trust.id == null ? [] : [local.trust.id]
      content {
        test     = "StringEquals"
        variable = "sts:ExternalId"
        values   = [condition.value]
      }
    }
  }
}

resource "aws_iam_role" "this" {
  name               = "role1"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}
