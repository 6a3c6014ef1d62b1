#!/usr/bin/env bash
source "$(dirname "$0")/runtime.sh"

handle() {
    local execution name digest outcome started report lock notified
    execution=$(input arn)
    name=$(inside execution <<<"$event" | value name)
    digest=$(input digest)
    outcome=$(input outcome)
    started=$(input startedAt)
    report="{$(members outcome application environment commit digest order schema startedAt),"
    report+="\"whatHappened\":\"$(input because)\",\"execution\":\"$name\",\"finishedAt\":\"$(date -u +%FT%TZ)\","
    report+="\"deployRequest\":{$(inside deployRequest <<<"$event")},\"deployment\":{$(inside deployment <<<"$event")}}"
    notified=$(get_item release "$started $name" notified.BOOL)
    if [[ $notified == True || $outcome == Superseded ]]; then left_out "a release that was told or steps aside"; fi
    put release "$started $name" "$(told false)"
    lock=$(get_item lock lock holder.S)
    if [[ $lock == "$execution" ]]; then
        put last last "$(text digest "$digest"),$(text execution "$name"),$(text startedAt "$started")"
        aws dynamodb delete-item --table-name "$TABLE_NAME" --key "{$(text kind lock),$(text id lock)}" \
            --condition-expression 'holder = :me AND attribute_not_exists(unsettled)' \
            --expression-attribute-values "{$(text :me "$execution")}" >/dev/null
    fi
    aws sns publish --topic-arn "$TOPIC_ARN" --message "$report" \
        --subject "$(input application) $(input environment): $outcome" >/dev/null
    put release "$started $name" "$(told true)"
    echo "$report"
}

told() { echo "$(text digest "$digest"),\"notified\":{\"BOOL\":$1},$(text report "${report//\"/\\\"}")"; }

put() {
    aws dynamodb put-item --table-name "$TABLE_NAME" \
        --item "{$(text kind "$1"),$(text id "$2"),$(text outcome "$outcome"),$3}" >/dev/null
}

serve
