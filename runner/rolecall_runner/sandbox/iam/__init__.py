"""IAM of the sandbox: moto's backends, and the validation and operations that moto lacks."""
