"""Subscriptions of a topic by mail.

Facts: API reference of Amazon SNS, Subscribe.
A subscription by mail is pending, and gets nothing, until its receiver confirms it; ministack takes it for confirmed
at once.
"""

import uuid
from typing import Any

from ministack.services import sns
from ministack.services.cloudformation import provisioners

from additions.wrapping import wrap

_PROTOCOLS = ("email", "email-json")


def install() -> None:
    wrap(sns, "_refresh_subscription_counts", _refresh_subscription_counts)
    handlers = provisioners._RESOURCE_HANDLERS["AWS::SNS::Subscription"]
    create = handlers["create"]

    def create_subscription(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[Any, ...]:
        created = create(logical_id, properties, stack_name)
        if topic := sns._topics.get(properties.get("TopicArn", "")):
            sns._refresh_subscription_counts(topic)
        return created

    handlers["create"] = create_subscription


def _refresh_subscription_counts(refresh: Any, topic: dict[str, Any]) -> None:
    # Called after every change of a topic's subscriptions, a new one included.
    for subscription in topic.get("subscriptions", []):
        if subscription["protocol"] in _PROTOCOLS and not subscription.get("asked"):
            subscription.update(asked=True, confirmed=False, token=str(uuid.uuid4()))
            subscription["attributes"]["PendingConfirmation"] = "true"
    refresh(topic)
