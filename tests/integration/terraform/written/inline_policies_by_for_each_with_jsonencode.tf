data "aws_caller_identity" "current" {
  lifecycle {
    postcondition {
      condition     = self.account_id == "222222222222"
      error_message = "wrong account ${self.account_id}"
    }
  }
}
variable "policies" {
  type    = map(list(string))
  default = { s3 = ["s3:GetObject"], sqs = ["sqs:SendMessage"] }
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
resource "aws_iam_role_policy" "these" {
  for_each = var.policies
  name     = each.key
  role     = aws_iam_role.this.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [for a in each.value :
  { Effect = "Allow", Action = a, Resource = "*" }] })
}
