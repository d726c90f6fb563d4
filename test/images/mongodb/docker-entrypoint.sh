#!/usr/bin/env bash
# Runs PostgreSQL, which only its socket reaches, and FerretDB before it. The variables are those of the official mongo image:
# MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD (each with _FILE). With them it asks for passwords, else it does not.
set -Eeuo pipefail

# A folder below, because PostgreSQL insists that it is its own and closed to others, and a volume need not be.
volume=/data/db
data=$volume/postgresql
sockets=/run/postgresql
export PATH=$PATH:/usr/lib/postgresql/18/bin

say() { printf '%s\n' "docker-entrypoint: $*"; }
fail() {
  printf '%s\n' "error: $1" "hint: $2" >&2
  exit 1
}

# Sets NAME to its own value, else to the content of the file that NAME_FILE names.
read_setting() {
  local name=$1 file_name=${1}_FILE value
  if [ -n "${!name-}" ] && [ -n "${!file_name-}" ]; then
    fail "both $name and $file_name are set" 'Set one of them.'
  fi
  value=${!name-}
  if [ -n "${!file_name-}" ]; then
    value=$(cat "${!file_name}") || fail "$file_name names a file that cannot be read: ${!file_name}" 'Mount it, or correct the path.'
  fi
  # Exported for the second life of this script, after it stepped down: the file may be readable by root only.
  export "$name=$value"
  unset "$file_name"
}

read_settings() {
  read_setting MONGO_INITDB_ROOT_USERNAME
  read_setting MONGO_INITDB_ROOT_PASSWORD
  [ -n "$MONGO_INITDB_ROOT_USERNAME" ] && [ -n "$MONGO_INITDB_ROOT_PASSWORD" ] ||
    [ -z "$MONGO_INITDB_ROOT_USERNAME$MONGO_INITDB_ROOT_PASSWORD" ] ||
    fail 'one of MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD is not set' 'Set both, or none to let everybody in.'
}

# What fails here may be right already (a user without root): initdb and the server have the last word.
prepare_directories() {
  local folder
  for folder in "$volume" "$sockets"; do
    [ "$(id -u)" != 0 ] || find "$folder" ! -user mongodb -exec chown mongodb: '{}' + || true
  done
}

sql() { /usr/lib/postgresql/18/bin/psql --host "$sockets" --username postgres --no-psqlrc --quiet -v ON_ERROR_STOP=1 "$@"; }

initialise() {
  local names
  names=$(mktemp -d)
  echo "mongodb:x:$(id -u):$(id -g)::$data:/bin/false" >"$names/passwd"
  echo "mongodb:x:$(id -g):" >"$names/group"
  # initdb refuses to run as a user that has no name.
  LD_PRELOAD=$(echo /usr/lib/*/libnss_wrapper.so) NSS_WRAPPER_PASSWD=$names/passwd NSS_WRAPPER_GROUP=$names/group \
    initdb --pgdata "$data" --username postgres --auth trust --encoding UTF8 --locale C.UTF-8 >"$names/log" 2>&1 ||
    fail "PostgreSQL could not make its data: $(tail -n 3 "$names/log")" "It needs a folder that it may write: $volume"
  rm -r "$names"
  cat >>"$data/postgresql.conf" <<SETTINGS
listen_addresses = ''
unix_socket_directories = '$sockets'
shared_preload_libraries = 'pg_cron,pg_documentdb_core,pg_documentdb'
cron.database_name = 'postgres'
cron.host = '$sockets'
documentdb.localhost_connection_string = 'host=$sockets'
SETTINGS
}

start_postgres() {
  local deadline=$((SECONDS + 60))
  # Left by one that was killed; its number may be another's by now, and nobody else has this folder.
  rm -f "$data/postmaster.pid"
  postgres -D "$data" &
  postgres=$!
  until sql --command 'select 1' >/dev/null 2>&1; do
    kill -0 "$postgres" 2>/dev/null || fail 'PostgreSQL ended before it answered' 'What it said is above.'
    [ "$SECONDS" -lt "$deadline" ] || fail 'PostgreSQL did not answer within 60 s' 'What it said is above.'
    sleep 0.1
  done
}

# FerretDB's users are PostgreSQL's roles.
create_root() {
  sql --command 'create extension if not exists documentdb cascade'
  [ -z "$MONGO_INITDB_ROOT_USERNAME" ] ||
    sql -v "name=$MONGO_INITDB_ROOT_USERNAME" <<'SQL'
\set password `printf %s "$MONGO_INITDB_ROOT_PASSWORD"`
create role :"name" superuser login password :'password';
grant documentdb_admin_role to :"name";
SQL
}

# Both end with whichever ends first, or with the container; PostgreSQL is the last, and writes down all that it has.
# shellcheck disable=SC2317 # reached by the trap
stop() {
  trap '' TERM INT
  [ -z "${ferretdb-}" ] || kill "$ferretdb" 2>/dev/null || true
  [ -z "${ferretdb-}" ] || wait "$ferretdb" || true
  [ -z "${postgres-}" ] || kill -INT "$postgres" 2>/dev/null || true
  [ -z "${postgres-}" ] || wait "$postgres" || true
}

case ${1-} in '' | -*) set -- ferretdb "$@" ;; esac
[ "$1" = ferretdb ] || exec "$@"

read_settings
prepare_directories
if [ "$(id -u)" = 0 ]; then
  exec setpriv --reuid mongodb --regid mongodb --init-groups "$0" "$@"
fi

trap stop EXIT
trap 'exit 0' TERM INT
made=$data/documentdb.made
if [ ! -e "$made" ]; then
  [ ! -e "$data/PG_VERSION" ] || fail "$data was left half-made by a start that was cut short" 'Remove the volume, and start again.'
  initialise
fi
start_postgres
if [ ! -e "$made" ]; then
  create_root
  touch "$made"
fi

authentication=--auth
[ -n "$MONGO_INITDB_ROOT_USERNAME" ] || authentication=--no-auth
# The password has done its work.
unset MONGO_INITDB_ROOT_PASSWORD
say 'PostgreSQL is ready; starting FerretDB'
ferretdb --postgresql-url "postgres://postgres@/postgres?host=$sockets" --listen-addr :27017 --debug-addr - --state-dir "$volume" \
  --telemetry disable --log-level warn "$authentication" "${@:2}" &
ferretdb=$!
status=0
wait -n "$ferretdb" "$postgres" || status=$?
exit "$status"
