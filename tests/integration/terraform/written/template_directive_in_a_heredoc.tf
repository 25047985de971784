data "aws_caller_identity" "current" {
  lifecycle {
    postcondition {
      condition     = self.account_id == "222222222222"
      error_message = "wrong account ${self.account_id}"
    }
  }
}
locals {
  ids = ["id-1", "id-2"]
}
resource "aws_iam_role" "this" {
  name               = "role1"
  assume_role_policy = <<-JSON
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
     "Principal": {"AWS": "arn:aws:iam::111111111111:role/backend_role"},
     "Condition": {"StringEquals": {"sts:ExternalId": [%{for i, id in local.ids}%{if i > 0},%{endif}"${id}"%{endfor}]}}}]}
  JSON
}
