"""A function for a play: it receives a session and the account, and returns the data of the result."""


def networks(session, account):
    """Return the IDs of the VPCs in the account's first Region."""
    return [each["VpcId"] for each in session.client("ec2", account.regions[0]).describe_vpcs()["Vpcs"]]
