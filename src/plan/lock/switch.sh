#!/bin/sh
# The dead-man's switch of kubectl-egress: takes a lock back at its deadline, unless it was removed before.
#
#   sh switch.sh wait      waits for the deadline, then undoes the lock; tries until it worked
#   sh switch.sh rehearse  asks the API server to do the same to the canary without doing it; prints the HTTP status
#
# Fixed text: everything that differs comes by the variables and files that the program's documentation of
# `plan::lock::switch` names. Needs a POSIX shell, date, sleep and curl.
set -uf

policies=/apis/networking.k8s.io/v1/namespaces/$SWITCH_NAMESPACE/networkpolicies
newline='
'

# ask METHOD PATH [curl's arguments]: leaves `status` (000: no answer) and `body`. The API server is asked at its
# Service's address, then at its own; its certificate must name the Service each time. What would be asked again
# anyway (no answer, 429, 5xx) is asked at the next address at once.
ask() {
    method=$1
    case $KUBERNETES_SERVICE_HOST in
    *:*) url="https://[$KUBERNETES_SERVICE_HOST]:$KUBERNETES_SERVICE_PORT$2" ;;
    *) url="https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT$2" ;;
    esac
    shift 2
    for endpoint in '' $SWITCH_ENDPOINTS; do
        # Read each time, as the kubelet renews it; given to curl by a pipe, so that no list of processes shows it.
        token=
        read -r token <"$SWITCH_CREDENTIALS/token" || :
        answer=$(
            printf 'header = "Authorization: Bearer %s"\n' "$token" |
                curl --disable --config - --silent --noproxy '*' --cacert "$SWITCH_CREDENTIALS/ca.crt" \
                    --connect-timeout 3 --max-time 5 ${endpoint:+--connect-to "::$endpoint"} \
                    --write-out '\n%{http_code}' --request "$method" "$@" "$url"
        ) || answer="${newline}000"
        status=${answer##*"$newline"}
        body=${answer%"$newline"*}
        case $status in
        000 | 429 | 5??) ;;
        *) return ;;
        esac
    done
}

# The first UID of `body`: the API server writes that of the object itself before all others.
uid_of_body() {
    uid=
    case $body in
    # Programs that call themselves curl get their answers indented, which others do not (API server, `pretty`).
    *'"uid": "'*) uid=${body#*'"uid": "'} ;;
    *'"uid":"'*) uid=${body#*'"uid":"'} ;;
    esac
    uid=${uid%%'"'*}
    case $uid in
    *[!0-9A-Za-z-]*) uid= ;;
    esac
}

# undo NAME QUERY: asks once to undo the policy of that name; leaves `status`.
undo() {
    ask GET "$policies/$1"
    [ "$status" = 200 ] || return
    uid_of_body
    if [ -z "$uid" ]; then
        status=unread
        return
    fi
    case $SWITCH_UNDO in
    delete)
        # The API server does not look at the query where there is a body.
        dry_run=${2:+',"dryRun":["All"]'}
        ask DELETE "$policies/$1" --header 'Content-Type: application/json' \
            --data-binary '{"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":"'"$uid"'"}'"$dry_run"'}'
        ;;
    restore)
        if [ "$1" = "$SWITCH_LOCK" ] && [ "$uid" != "$SWITCH_LOCK_UID" ]; then
            status=replaced
            return
        fi
        spec=
        read -r spec <"$SWITCH_SPEC" || :
        ask PATCH "$policies/$1?fieldManager=kubectl-egress&$2" --header 'Content-Type: application/json-patch+json' \
            --data-binary '[{"op":"test","path":"/metadata/uid","value":"'"$uid"'"},{"op":"replace","path":"/spec","value":'"$spec"'}]'
        ;;
    esac
}

# Says what was done, where `kubectl logs` and the pod's status show it.
say() {
    printf '%s\n' "$1"
    printf '%s\n' "$1" 2>/dev/null >"$SWITCH_TERMINATION_LOG" || :
}

wait_and_undo() {
    while [ "$(date +%s)" -lt "$SWITCH_DEADLINE" ]; do
        sleep 1
    done
    lock="NetworkPolicy $SWITCH_NAMESPACE/$SWITCH_LOCK"
    told=
    while :; do
        undo "$SWITCH_LOCK" ''
        case $SWITCH_UNDO$status in
        delete20?) say "$lock was deleted: no proof came before the deadline" && return ;;
        restore20?) say "$lock was put back as it was: no proof came before the deadline" && return ;;
        *404) say "$lock is gone: nothing to undo" && return ;;
        *replaced) say "$lock is another object than the one that was changed: left alone" && return ;;
        esac
        if [ "$told" != "$status" ]; then
            told=$status
            printf 'the API server answered %s about %s; tried again each second\n' "$status" "$lock" >&2
        fi
        sleep 1
    done
}

case ${1-} in
rehearse)
    undo "$SWITCH_CANARY" 'dryRun=All'
    printf '%s\n' "$status"
    [ "$status" = 200 ]
    ;;
wait)
    # Process 1 ignores signals that it does not trap, and a trap waits for the command in the foreground: so the
    # work is done behind. Ended by a signal is not done: another pod shall take over, unless the Job is gone.
    trap 'kill ${!-} 2>/dev/null; exit 143' TERM INT
    wait_and_undo &
    wait $!
    ;;
*)
    printf 'usage: sh switch.sh wait|rehearse\n' >&2
    exit 2
    ;;
esac
