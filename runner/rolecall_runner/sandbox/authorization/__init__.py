"""Authorization of calls to the sandbox: permissions, resources, condition keys and the decision."""
