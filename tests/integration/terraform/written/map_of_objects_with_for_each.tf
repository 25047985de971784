data "aws_caller_identity" "current" {
  lifecycle {
    postcondition {
      condition     = self.account_id == "222222222222"
      error_message = "wrong account ${self.account_id}"
    }
  }
}
variable "roles" {
  type = map(object({ seconds = number, arns = optional(list(string), []) }))
  default = {
    one = { seconds = 3600 }
    two = { seconds = 7200, arns = ["arn:aws:iam::aws:policy/ReadOnlyAccess"] }
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
  for_each             = var.roles
  name                 = "role-${each.key}"
  max_session_duration = each.value.seconds
  assume_role_policy   = data.aws_iam_policy_document.trust.json
}
resource "aws_iam_role_policy_attachment" "these" {
  for_each   = merge([for k, r in var.roles : { for a in r.arns : "${k}/${a}" => { role = k, arn = a } }]...)
  role       = aws_iam_role.this[each.value.role].name
  policy_arn = each.value.arn
}
