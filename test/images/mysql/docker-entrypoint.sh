#!/usr/bin/env bash
# The entrypoint of our MySQL stand-in, written from the documentation of the official image:
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
    value=$(cat "${!file_name}") || fail "$file_name names a file that cannot be read: ${!file_name}" 'Mount it, or correct the path.'
  fi
  # Exported for the second life of this script, after it stepped down: the file may be readable by root only.
  export "$name=${value:-$default}"
  unset "$file_name"
}

read_settings() {
  read_setting MYSQL_ROOT_PASSWORD
  read_setting MYSQL_ROOT_HOST %
  read_setting MYSQL_ALLOW_EMPTY_PASSWORD
  read_setting MYSQL_RANDOM_ROOT_PASSWORD
  read_setting MYSQL_DATABASE
  read_setting MYSQL_USER
  read_setting MYSQL_PASSWORD
  [ "$MYSQL_USER" != root ] ||
    fail 'MYSQL_USER is root, who is there anyway' 'Set MYSQL_ROOT_PASSWORD for root, and leave MYSQL_USER out or name another account.'
}

# What the server would take, from its arguments and every file that it reads. It complains where it would not start.
ask_server() {
  answers=$("$@" --verbose --help --log-bin-index="$(mktemp --dry-run)" 2>"$complaints") ||
    fail "mysqld does not take its configuration: $(tail -n 5 "$complaints")" \
      'Correct the arguments of the container or the files in /etc/mysql/conf.d.'
}
# Its table begins each line with a name; the explanations before it are indented.
answer() { awk -v name="$1" 'index($0, name " ") == 1 && NF > 1 { print $2; exit }' <<<"$answers"; }

# What fails here may be right already (a read-only root, a user without root): the server has the last word.
prepare_directories() {
  local folder
  for folder in "$data" "$(dirname "$socket")"; do
    mkdir -p "$folder" || true
    [ "$(id -u)" != 0 ] || find "$folder" ! -user mysql -exec chown mysql: '{}' + || true
  done
}

refuse_to_be_open() {
  [ -z "$MYSQL_ROOT_PASSWORD$MYSQL_ALLOW_EMPTY_PASSWORD$MYSQL_RANDOM_ROOT_PASSWORD" ] || return 0
  fail 'the database has no data yet, and no password for root is given' \
    'Set MYSQL_ROOT_PASSWORD, MYSQL_RANDOM_ROOT_PASSWORD=1 or MYSQL_ALLOW_EMPTY_PASSWORD=1.'
}

# As text and as a name in SQL.
text() {
  local value=${1//\\/\\\\}
  printf "'%s'" "${value//\'/\'\'}"
}
name() { printf '%s' "\`${1//\`/\`\`}\`"; }
# As a name in a grant, where _ and % stand for others.
granted() {
  local value=${1//\\/\\\\}
  value=${value//_/\\_}
  name "${value//%/\\%}"
}

# Named as in the official image, because scripts that are sourced call it.
docker_process_sql() {
  MYSQL_PWD=$root_password mysql --no-defaults --user root --protocol socket --socket "$socket" --comments \
    ${MYSQL_DATABASE:+--database "$MYSQL_DATABASE"} "$@"
}

# Only the socket reaches this server: nobody outside may take a half-made database for a ready one.
start_for_socket() {
  local deadline=$((SECONDS + 60))
  "$@" --skip-networking --mysqlx=OFF --skip-replica-start &
  server=$!
  until mysqladmin --no-defaults --user root --protocol socket --socket "$socket" ping >/dev/null 2>&1; do
    kill -0 "$server" 2>/dev/null || fail 'mysqld ended while the database was made' 'What it said is above.'
    [ "$SECONDS" -lt "$deadline" ] || fail 'mysqld did not answer within 60 s' 'What it said is above.'
    sleep 0.1
  done
}
stop() {
  kill "$server"
  wait "$server" || fail "mysqld ended with $? after the database was made" 'What it said is above.'
}

create_accounts() {
  local identified
  identified="identified by $(text "$MYSQL_ROOT_PASSWORD")"
  {
    # This is the server's own, in no replica and in no log to replay.
    echo 'set @@session.sql_log_bin = 0;'
    [ "$MYSQL_ROOT_HOST" = localhost ] ||
      printf '%s;\n' "create user root@$(text "$MYSQL_ROOT_HOST") $identified" \
        "grant all on *.* to root@$(text "$MYSQL_ROOT_HOST") with grant option" \
        "grant proxy on ''@'' to root@$(text "$MYSQL_ROOT_HOST") with grant option"
    # Last: it is how this very session logged in.
    echo "alter user root@localhost $identified;"
  } | root_password='' MYSQL_DATABASE='' docker_process_sql --database mysql
}

create_database() {
  [ -z "$MYSQL_DATABASE" ] ||
    MYSQL_DATABASE='' docker_process_sql <<<"create database if not exists $(name "$MYSQL_DATABASE")"
  [ -n "$MYSQL_USER" ] && [ -n "$MYSQL_PASSWORD" ] || return 0
  {
    echo "create user $(text "$MYSQL_USER")@'%' identified by $(text "$MYSQL_PASSWORD");"
    [ -z "$MYSQL_DATABASE" ] ||
      echo "grant all on $(granted "$MYSQL_DATABASE").* to $(text "$MYSQL_USER")@'%';"
  } | docker_process_sql
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
    *.sql) docker_process_sql <"$1" ;;
    *.sql.bz2) bunzip2 -c "$1" | docker_process_sql ;;
    *.sql.gz) gunzip -c "$1" | docker_process_sql ;;
    *.sql.xz) xzcat "$1" | docker_process_sql ;;
    *.sql.zst) zstd -dc "$1" | docker_process_sql ;;
    *) say "ignoring $1" ;;
  esac
}

initialise() {
  local file
  refuse_to_be_open
  if [ -n "$MYSQL_RANDOM_ROOT_PASSWORD" ]; then
    MYSQL_ROOT_PASSWORD=$(head -c 24 /dev/urandom | base64 | tr '+/' 'ab')
    say "GENERATED ROOT PASSWORD: $MYSQL_ROOT_PASSWORD"
  fi
  # With the server's own arguments, because some of them decide about the data for good.
  "$@" --initialize-insecure || fail 'mysqld could not make its data' "What it said is above. It needs an empty folder that it may write: $data"
  start_for_socket "$@"
  root_password=$MYSQL_ROOT_PASSWORD
  create_accounts
  create_database
  for file in /docker-entrypoint-initdb.d/*; do
    [ ! -e "$file" ] || run_init_file "$file"
  done
  stop
  say 'MySQL init process done. Ready for start up.'
}

starts_a_server() {
  local argument
  [ "$1" = mysqld ] || return 1
  for argument; do
    case $argument in -'?' | --help | -V | --version | --print-defaults) return 1 ;; esac
  done
}

case ${1-} in '' | -*) set -- mysqld "$@" ;; esac

if starts_a_server "$@"; then
  read_settings
  complaints=$(mktemp)
  ask_server "$@"
  data=$(answer datadir)
  data=${data%/}
  socket=$(answer socket)
  # What belongs to them changes hands below.
  case $data:$socket in
    /*:/*) ;;
    *) fail "datadir is '$data' and socket is '$socket'" 'Give whole paths in the arguments and the configuration, or leave them out.' ;;
  esac
  prepare_directories
  if [ "$(id -u)" = 0 ]; then
    rm "$complaints"
    export HOME=/var/lib/mysql
    exec setpriv --reuid mysql --regid mysql --init-groups "$0" "$@"
  fi
  if [ -d "$data/mysql" ]; then
    say "$data has data: nothing to initialise"
  else
    initialise "$@"
  fi
  rm -f "$complaints"
fi
exec "$@"
