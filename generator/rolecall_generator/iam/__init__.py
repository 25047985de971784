"""The domain: ARNs, policy documents, the access model, quotas and the evaluator. Imports nothing above it."""
