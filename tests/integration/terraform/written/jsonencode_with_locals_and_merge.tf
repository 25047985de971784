data "aws_caller_identity" "current" {
  lifecycle {
    postcondition {
      condition     = self.account_id == "222222222222"
      error_message = "wrong account ${self.account_id}"
    }
  }
}
variable "external_id" {
  type    = string
  default = "id-1"
}
locals {
  mfa       = { Bool = { "aws:MultiFactorAuthPresent" = true } }
  condition = merge(local.mfa, { StringEquals = { "sts:ExternalId" = var.external_id } })
}
resource "aws_iam_role" "this" {
  name = "role1"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = "arn:aws:iam::111111111111:role/backend_role" }
      Condition = local.condition
    }]
  })
}
