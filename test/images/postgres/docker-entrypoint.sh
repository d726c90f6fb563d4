#!/usr/bin/env bash
# The entrypoint of our PostgreSQL stand-in, written from the documentation of the official image:
# the variables (each with _FILE), /docker-entrypoint-initdb.d, --user, and the server's arguments.
set -Eeuo pipefail

say() { printf '%s\n' "docker-entrypoint: $*"; }
fail() {
  printf '%s\n' "error: $1" "hint: $2" >&2
  exit 1
}

# Sets NAME to its own value, else to the content of the file that NAME_FILE names, else to the default.
read_setting() {
  local name=$1 file_name=${1}_FILE default=${2-} value
  if [ -n "${!name-}" ] && [ -n "${!file_name-}" ]; then
    fail "both $name and $file_name are set" 'Set one of them.'
  fi
  value=${!name-}
  if [ -n "${!file_name-}" ]; then
    value=$(cat -- "${!file_name}") || fail "$file_name names a file that cannot be read: ${!file_name}" 'Mount it, or correct the path.'
  fi
  # Exported for the second life of this script, after it stepped down: the file may be readable by root only.
  export "$name=${value:-$default}"
  unset "$file_name"
}

read_settings() {
  read_setting POSTGRES_PASSWORD
  read_setting POSTGRES_USER postgres
  read_setting POSTGRES_DB "$POSTGRES_USER"
  read_setting POSTGRES_INITDB_ARGS
  read_setting POSTGRES_INITDB_WALDIR
  read_setting POSTGRES_HOST_AUTH_METHOD
}

# What fails here may be right already (a read-only root, a user without root): initdb and the server have the last word.
prepare_directories() {
  local folder
  for folder in "$PGDATA" /var/run/postgresql ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"}; do
    mkdir -p "$folder" || true
    [ "$(id -u)" != 0 ] || find "$folder" ! -user postgres -exec chown postgres '{}' + || true
  done
  chmod 700 "$PGDATA" || true
  chmod 3775 /var/run/postgresql || true
}

refuse_to_be_open() {
  [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ] || return 0
  fail 'the database has no data yet, and POSTGRES_PASSWORD is not set' \
    'Set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, or POSTGRES_HOST_AUTH_METHOD=trust to let everybody in.'
}

create_cluster() {
  local arguments=()
  # As the shell reads them: a value may be quoted.
  eval "arguments=($POSTGRES_INITDB_ARGS)"
  [ -z "$POSTGRES_INITDB_WALDIR" ] || arguments+=(--waldir "$POSTGRES_INITDB_WALDIR")
  # Within the command, because the descriptor lives no longer than that. An empty line means no password.
  with_a_user_name initdb --pgdata "$PGDATA" --username "$POSTGRES_USER" \
    --pwfile <(printf '%s\n' "$POSTGRES_PASSWORD") "${arguments[@]}"
  # After initdb's own lines: the socket and the loopback address are trusted, everything else has a password.
  printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption)}" >>"$PGDATA/pg_hba.conf"
}

# initdb refuses to run as a user that has no name.
with_a_user_name() {
  local folder status=0
  if getent passwd "$(id -u)" >/dev/null; then
    "$@"
    return
  fi
  folder=$(mktemp -d)
  echo "postgres:x:$(id -u):$(id -g)::$PGDATA:/bin/false" >"$folder/passwd"
  echo "postgres:x:$(id -g):" >"$folder/group"
  LD_PRELOAD=$(echo /usr/lib/*/libnss_wrapper.so) NSS_WRAPPER_PASSWD=$folder/passwd NSS_WRAPPER_GROUP=$folder/group "$@" || status=$?
  rm -r "$folder"
  return "$status"
}

# Named as in the official image, because scripts that are sourced call it.
docker_process_sql() {
  psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" "$@"
}

create_database() {
  local exists
  exists=$(docker_process_sql --dbname postgres --tuples-only -v "name=$POSTGRES_DB" <<<"select 1 from pg_database where datname = :'name'")
  [ -n "$exists" ] || docker_process_sql --dbname postgres --quiet -v "name=$POSTGRES_DB" <<<'create database :"name"'
}

run_init_file() {
  say "running $1"
  case $1 in
    *.sh)
      if [ -x "$1" ]; then
        "$1"
      else
        # shellcheck source=/dev/null
        . "$1"
      fi
      ;;
    *.sql) docker_process_sql --file "$1" ;;
    *.sql.gz) gunzip -c "$1" | docker_process_sql ;;
    *.sql.xz) xzcat "$1" | docker_process_sql ;;
    *.sql.zst) zstd -dc "$1" | docker_process_sql ;;
    *) say "ignoring $1" ;;
  esac
}

# On a server that only the socket reaches: nobody outside may take a half-made database for a ready one.
initialise() {
  local file
  refuse_to_be_open
  create_cluster
  export PGPASSWORD=${PGPASSWORD:-$POSTGRES_PASSWORD}
  pg_ctl --pgdata "$PGDATA" --wait --options "$(printf '%q ' "$@" -c listen_addresses= -p "${PGPORT:-5432}")" start
  create_database
  for file in /docker-entrypoint-initdb.d/*; do
    [ ! -e "$file" ] || run_init_file "$file"
  done
  pg_ctl --pgdata "$PGDATA" --wait --mode fast stop
  unset PGPASSWORD
  say 'PostgreSQL init process complete; ready for start up.'
}

starts_a_server() {
  local argument
  [ "$1" = postgres ] || return 1
  for argument; do
    case $argument in -'?' | --help | --describe-config | -V | --version) return 1 ;; esac
  done
}

case ${1-} in '' | -*) set -- postgres "$@" ;; esac

if starts_a_server "$@"; then
  read_settings
  prepare_directories
  if [ "$(id -u)" = 0 ]; then
    export HOME=/var/lib/postgresql
    exec /usr/bin/setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
  fi
  if [ -s "$PGDATA/PG_VERSION" ]; then
    say "$PGDATA has data: nothing to initialise"
  else
    initialise "${@:2}"
  fi
fi
exec "$@"
