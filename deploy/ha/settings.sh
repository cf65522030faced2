# shellcheck shell=sh
# Read by every script here: the settings of this host, and what all of them say and do alike.
set -eu

HA_CONF=${HA_CONF:-/etc/sdgroup/ha.conf}

say() { printf '%s: %s\n' "${0##*/}" "$*"; }
fail() {
    say "$*" >&2
    exit 1
}

[ -r "$HA_CONF" ] || fail "cannot read $HA_CONF: copy ha.conf.example there, or set HA_CONF to where it is"
# shellcheck source=ha.conf.example
. "$HA_CONF"

# The settings of these names must not be empty.
need() {
    for name in "$@"; do
        eval "value=\${$name:-}"
        [ -n "$value" ] || fail "$name is not set in $HA_CONF"
    done
}

# A setting that is a command with its arguments.
run() { sh -c "$*"; }

# One of PostgreSQL's programs, as its user. AS_POSTGRES is several words.
pg() {
    program=$1
    shift
    # shellcheck disable=SC2086
    $AS_POSTGRES "$PG_BIN/$program" "$@"
}

# A statement for this host's server; columns between bars.
sql() { pg psql -XAtq -v ON_ERROR_STOP=1 -U postgres -h "$PG_SOCKET" -p "$PG_PORT" -d postgres -c "$1"; }

# How the other host's server is called.
peer() {
    printf 'host=%s port=%s user=%s application_name=%s passfile=%s connect_timeout=5 %s' \
        "$PEER_ADDRESS" "$PG_PORT" "$REPLICATOR" "$HOST" "$PG_PASSFILE" "$PG_TLS"
}

# Looks again and again until a command succeeds: wait_for SECONDS "what for" COMMAND...
wait_for() {
    seconds=$1
    what=$2
    shift 2
    tries=$((seconds * 5))
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "waited $seconds seconds in vain for $what"
        sleep 0.2
    done
}

is_streaming() { [ "$(sql 'SELECT status FROM pg_stat_wal_receiver' 2>&1)" = streaming ]; }
