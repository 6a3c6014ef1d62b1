"""What `sam deploy` makes of the template."""

from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from cloud import Environment, LocalAws, install
from local_aws.toy_support import TOY


def test_a_custom_resource_is_answered_by_its_function(toy: Environment) -> None:
    assert toy.outputs["Greeting"].startswith("hello ")


def test_an_update_reaches_the_custom_resource(
    aws: LocalAws, toy: Environment, lightsail_emulator: Path | None
) -> None:
    parameters = {"Name": "everyone", **({"ContainerServiceName": "toy"} if lightsail_emulator else {})}
    assert install(aws, "toy", parameters, project=TOY).outputs["Greeting"] == "hello everyone"


def test_a_secret_has_no_value_until_it_is_put(aws: LocalAws, toy: Environment) -> None:
    client = aws.client("secretsmanager")
    with pytest.raises(ClientError, match="can't find the specified secret value for staging label: AWSCURRENT"):
        client.get_secret_value(SecretId=toy.outputs["Secret"])
    aws.put_secret("toy/secret", "value")
    assert client.get_secret_value(SecretId=toy.outputs["Secret"])["SecretString"] == "value"
    assert toy.outputs["Secret"].startswith("arn:aws:secretsmanager:")


def test_a_container_service_is_created_with_its_puller_role(
    aws: LocalAws, toy: Environment, lightsail_emulator: Path | None
) -> None:
    if lightsail_emulator is None:
        pytest.skip("the Lightsail emulator is not built")
    [service] = aws.client("lightsail").get_container_services(serviceName="toy")["containerServices"]
    puller = service["privateRegistryAccess"]["ecrImagePullerRole"]
    assert service["state"] == "READY"
    assert puller["isActive"]
    # The template reads the role's ARN once, when Lightsail may not have made it yet.
    assert toy.outputs["PullerRole"] in ("", puller["principalArn"])
