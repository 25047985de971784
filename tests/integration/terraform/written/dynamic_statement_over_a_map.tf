data "aws_caller_identity" "current" {
  lifecycle {
    postcondition {
      condition     = self.account_id == "222222222222"
      error_message = "wrong account ${self.account_id}"
    }
  }
}
locals {
  statements = {
    Read    = { actions = ["s3:GetObject"], resources = ["arn:aws:s3:::b/*"] }
    Buckets = { actions = ["s3:ListBucket"], resources = ["arn:aws:s3:::b"] }
  }
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
  name               = "role1"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}
data "aws_iam_policy_document" "read" {
  dynamic "statement" {
    for_each = local.statements
    content {
      sid       = statement.key
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }
}
resource "aws_iam_role_policy" "read" {
  name   = "read"
  role   = aws_iam_role.this.name
  policy = data.aws_iam_policy_document.read.json
}
