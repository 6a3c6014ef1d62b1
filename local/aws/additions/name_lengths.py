"""The longest names that services take, refused as a stack's resource.

Sources: the services' API references and quotas: Lambda CreateFunction, EventBridge PutRule, IAM CreateRole, CloudWatch
PutMetricAlarm, SQS CreateQueue, Step Functions CreateStateMachine, Lightsail CreateContainerService.
"""

from typing import Any

from ministack.services.cloudformation import provisioners

# The property that names a resource of this type, and how many characters it may have.
LONGEST = {
    "AWS::Lambda::Function": ("FunctionName", 64),
    "AWS::Events::Rule": ("Name", 64),
    "AWS::IAM::Role": ("RoleName", 64),
    "AWS::CloudWatch::Alarm": ("AlarmName", 255),
    "AWS::SQS::Queue": ("QueueName", 80),
    "AWS::StepFunctions::StateMachine": ("StateMachineName", 80),
    "AWS::Lightsail::Container": ("ServiceName", 63),
}


def install() -> None:
    for resource_type, (field, longest) in LONGEST.items():
        handlers = provisioners._RESOURCE_HANDLERS[resource_type]
        handlers["create"] = _refusing(handlers["create"], resource_type, field, longest)


def _refusing(create: Any, resource_type: str, field: str, longest: int) -> Any:
    def create_named(logical_id: str, properties: dict[str, Any], *rest: Any) -> Any:
        name = properties.get(field) or ""
        if len(name) > longest:
            raise ValueError(f"{resource_type} {logical_id}: {field} '{name}' has more than {longest} characters")
        return create(logical_id, properties, *rest)

    return create_named
