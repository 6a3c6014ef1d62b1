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
        free
    fi
    aws sns publish --topic-arn "$TOPIC_ARN" --message "$report" \
        --subject "$(input application) $(input environment): $outcome" >/dev/null
    put release "$started $name" "$(told true)"
    echo "$report"
}

free() {
    local delete last
    delete="{\"TableName\":\"$TABLE_NAME\",\"Key\":{$(text kind lock),$(text id lock)},"
    delete+="\"ConditionExpression\":\"holder = :me AND redrives <= :mine AND usableFrom <= :now\","
    delete+="\"ExpressionAttributeValues\":{$(text :me "$execution"),\":mine\":{\"N\":\"$(input redrives)\"},"
    delete+="$(text :now "$(date -u +%FT%T.000Z)")}}"
    last="{\"TableName\":\"$TABLE_NAME\",\"Item\":{$(text kind last),$(text id last),$(text outcome "$outcome"),"
    last+="$(text digest "$digest"),$(text execution "$name"),$(text startedAt "$started")}}"
    aws dynamodb transact-write-items --transact-items "[{\"Delete\":$delete},{\"Put\":$last}]" >/dev/null
}

told() { echo "$(text digest "$digest"),\"notified\":{\"BOOL\":$1},$(text report "${report//\"/\\\"}")"; }

put() {
    aws dynamodb put-item --table-name "$TABLE_NAME" \
        --item "{$(text kind "$1"),$(text id "$2"),$(text outcome "$outcome"),$3}" >/dev/null
}

serve
