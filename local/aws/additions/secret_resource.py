"""The CloudFormation resource AWS::SecretsManager::Secret.

Facts: its template reference.
`Ref` is the secret's ARN, which ministack answers with the name.
Without `SecretString` and `GenerateSecretString` the secret has no value, and GetSecretValue answers
ResourceNotFoundException until somebody puts one; ministack stores an empty string.
"""

from typing import Any

from ministack.services import secretsmanager
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]
Provisioned = tuple[str, dict[str, str]]


def install() -> None:
    handlers = provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def create_secret(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
        name, attributes = create(logical_id, properties, stack_name)
        if not {"SecretString", "GenerateSecretString"} & properties.keys():
            secretsmanager._secrets[name]["Versions"].clear()
        return attributes["Arn"], attributes

    def update_secret(arn: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Provisioned:
        _, attributes = update(_name(arn), old, new, stack_name, logical_id)
        return attributes["Arn"], attributes

    def delete_secret(arn: str, properties: Properties) -> None:
        delete(_name(arn), properties)

    handlers.update(create=create_secret, update=update_secret, delete=delete_secret)


def _name(arn: str) -> str:
    # ministack's own handlers know a secret by its name, and call each other with it.
    return next((name for name, secret in secretsmanager._secrets.items() if secret["ARN"] == arn), arn)
