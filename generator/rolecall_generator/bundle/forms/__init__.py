"""One module per form of a bundle: Terraform, CloudFormation, AWS CLI, console."""
