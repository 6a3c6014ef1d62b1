# Sourced by each counterpart, which defines `handle`: it reads the event in $event and prints the answer.
# The least that a function in bash needs to be run by Lambda, as far as the benchmark's invocations go.
set -euo pipefail
shopt -s inherit_errexit

# The last value of a key in one line of JSON, without jq. A text ends at its first quote, even an escaped one.
value() { sed -En "s/.*\"$1\": *(\"([^\"]*)\"|([^\",}]*)).*/\2\3/p"; }

# The members of the last object of this name, as far as they are no objects.
inside() { sed -E "s/.*\"$1\": *\{//; s/[{}].*//"; }

# The last value of a key in the event.
input() { value "$1" <<<"$event"; }

# The texts with these keys in the event, as members of an object.
members() {
    printf '"%s":"%s"' "$1" "$(input "$1")"
    for name in "${@:2}"; do printf ',"%s":"%s"' "$name" "$(input "$name")"; done
}

# Ends the job: what the benchmark's invocation does not come to.
left_out() { echo "$1 is not part of the benchmark" >&2; exit 1; }

fetch() { curl --silent --show-error --fail "$@"; }

# Reads the service token, for the calls of `planetscale`.
read_token() {
    local secret
    secret=$(aws secretsmanager get-secret-value --secret-id "$PLANETSCALE_SECRET_ARN" \
        --query SecretString --output text)
    token="$(value id <<<"$secret"):$(value token <<<"$secret")"
}

# METHOD PATH [BODY]: a call of PlanetScale about deploy requests of the release's database.
planetscale() {
    local database
    database=$(inside database <<<"$event" | value name)
    fetch --request "$1" --header "Authorization: $token" --header "Content-Type: application/json" \
        ${3:+--data "$3"} \
        "$PLANETSCALE_API_URL/organizations/$(input organization)/databases/$database/deploy-requests$2"
}

# ACTION: has PlanetScale do it to the release's request, whose revert window is open.
in_revert_window() {
    local number
    number=$(input number)
    read_token
    case $(planetscale GET "/$number" | value deployment_state) in
        complete_pending_revert) planetscale POST "/$number/$1" '{}' >/dev/null ;;
        *) left_out "a request whose revert window is not open" ;;
    esac
}

# NAME VALUE: a text as an attribute of DynamoDB.
text() { printf '"%s":{"S":"%s"}' "$1" "$2"; }

# KIND ID ATTRIBUTE: an attribute of an item; None when there is none.
get_item() {
    aws dynamodb get-item --table-name "$TABLE_NAME" --consistent-read --output text \
        --key "{$(text kind "$1"),$(text id "$2")}" --query "Item.$3"
}

# REPOSITORY DIGEST: the image's tag that is no moving one.
immutable_tag() {
    local tag
    tag=$(aws ecr describe-images --repository-name "$1" --image-ids "imageDigest=$2" --output text \
        --query "imageDetails[0].imageTags[?!contains(['${MOVING_TAGS//,/"','"}'], @)] | [0]")
    if [[ $tag == None ]]; then left_out "an image with moving tags only"; fi
    echo "$tag"
}

serve() {
    local api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation" received invocation answer
    while true; do
        received=$(fetch --include "$api/next")
        invocation=$(sed -En 's/^Lambda-Runtime-Aws-Request-Id: *([^\r]*)\r?$/\1/Ip' <<<"$received")
        event=${received##*$'\r\n\r\n'}
        answer=$(handle)
        fetch --output /dev/null --data "$answer" "$api/$invocation/response"
    done
}
