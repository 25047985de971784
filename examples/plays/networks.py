"""A function of a play: it gets a session and the account, and gives data."""


def networks(session, account):
    """The ids of the account's networks in its first Region."""
    return [each["VpcId"] for each in session.client("ec2", account.regions[0]).describe_vpcs()["Vpcs"]]
