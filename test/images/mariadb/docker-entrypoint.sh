#!/usr/bin/env bash
# The entrypoint of our MariaDB stand-in, written from the documentation of the official image:
# the variables (each as MYSQL_... too, and with _FILE), /docker-entrypoint-initdb.d, --user, and the server's arguments.
set -Eeuo pipefail

say() { printf '%s\n' "docker-entrypoint: $*"; }
fail() {
  printf '%s\n' "error: $1" "hint: $2" >&2
  exit 1
}

settings=(
  ROOT_PASSWORD ROOT_PASSWORD_HASH ROOT_HOST ALLOW_EMPTY_ROOT_PASSWORD RANDOM_ROOT_PASSWORD
  DATABASE USER PASSWORD PASSWORD_HASH
)

# Sets MARIADB_NAME to its own value, else to MYSQL_NAME's, else to the content of the file that one of them names with _FILE.
read_setting() {
  local name=MARIADB_$1 given='' variable value=''
  for variable in "MARIADB_$1" "MYSQL_$1" "MARIADB_$1_FILE" "MYSQL_$1_FILE"; do
    [ -n "${!variable-}" ] || continue
    case $variable in
      *_FILE)
        [ -z "$given" ] || fail "both $given and $variable are set" 'Set one of them.'
        value=$(cat "${!variable}") || fail "$variable names a file that cannot be read: ${!variable}" 'Mount it, or correct the path.'
        ;;
      # The newer name wins where both are set.
      *) [ -n "$given" ] || value=${!variable} ;;
    esac
    given=$variable
  done
  # Exported for the second life of this script, after it stepped down: the file may be readable by root only.
  export "$name=$value"
  unset "MARIADB_$1_FILE" "MYSQL_$1_FILE"
}

read_settings() {
  local setting
  # Older names of the same two.
  export MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=${MARIADB_ALLOW_EMPTY_ROOT_PASSWORD-${MYSQL_ALLOW_EMPTY_PASSWORD-}}
  for setting in "${settings[@]}"; do read_setting "$setting"; done
  export MARIADB_ROOT_HOST=${MARIADB_ROOT_HOST:-%}
}

# What the server would take, from its arguments and every file that it reads. It complains where it would not start.
ask_server() {
  answers=$("$@" --verbose --help --log-bin-index="$(mktemp --dry-run)" 2>"$complaints") ||
    fail "mariadbd does not take its configuration: $(tail -n 5 "$complaints")" \
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
  [ -z "$MARIADB_ROOT_PASSWORD$MARIADB_ROOT_PASSWORD_HASH$MARIADB_ALLOW_EMPTY_ROOT_PASSWORD$MARIADB_RANDOM_ROOT_PASSWORD" ] || return 0
  fail 'the database has no data yet, and no password for root is given' \
    'Set MARIADB_ROOT_PASSWORD, MARIADB_ROOT_PASSWORD_HASH, MARIADB_RANDOM_ROOT_PASSWORD=1 or MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1.'
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

random_password() { head -c 24 /dev/urandom | base64 | tr '+/' 'ab'; }

# Named as in the official image, because scripts that are sourced call it.
docker_process_sql() {
  MYSQL_PWD=$root_password mariadb --user root --protocol socket --socket "$socket" --binary-mode --comments \
    ${MARIADB_DATABASE:+--database "$MARIADB_DATABASE"} "$@"
}

# Only the socket reaches this server: nobody outside may take a half-made database for a ready one.
start_for_socket() {
  local deadline=$((SECONDS + 60))
  "$@" --skip-networking --skip-slave-start &
  server=$!
  until mariadb-admin --user root --protocol socket --socket "$socket" ping >/dev/null 2>&1; do
    kill -0 "$server" 2>/dev/null || fail 'mariadbd ended while the database was made' 'What it said is above.'
    [ "$SECONDS" -lt "$deadline" ] || fail 'mariadbd did not answer within 60 s' 'What it said is above.'
    sleep 0.1
  done
}
stop() {
  kill "$server"
  wait "$server" || fail "mariadbd ended with $? after the database was made" 'What it said is above.'
}

create_accounts() {
  local identified health
  identified="identified by $(text "$MARIADB_ROOT_PASSWORD")"
  [ -z "$MARIADB_ROOT_PASSWORD_HASH" ] || identified="identified by password $(text "$MARIADB_ROOT_PASSWORD_HASH")"
  health=$(random_password)
  {
    # This is the server's own, in no replica and in no log to replay.
    echo 'set @@session.sql_log_bin = 0;'
    # All that mariadb-install-db makes beside it, depending on the machine's name.
    echo "delete from mysql.global_priv where user = '' or user = 'root' and host <> 'localhost';"
    echo "delete from mysql.proxies_priv where user = 'root' and host <> 'localhost';"
    echo 'flush privileges;'
    [ "$MARIADB_ROOT_HOST" = localhost ] ||
      printf '%s;\n' "create user root@$(text "$MARIADB_ROOT_HOST") $identified" \
        "grant all on *.* to root@$(text "$MARIADB_ROOT_HOST") with grant option" \
        "grant proxy on ''@'%' to root@$(text "$MARIADB_ROOT_HOST") with grant option"
    printf "create user healthcheck@'%s' identified by $(text "$health");\n" 127.0.0.1 ::1 localhost
    # Last: it is how this very session logged in. A hash is for the end, as nobody knows the password that it is of.
    [ -n "$MARIADB_ROOT_PASSWORD_HASH" ] || echo "alter user root@localhost $identified;"
  } | root_password='' MARIADB_DATABASE='' docker_process_sql --database mysql
  (
    umask 077
    printf '[client]\nuser=healthcheck\npassword=%s\nsocket=%s\nport=%s\n' "$health" "$socket" "$(answer port)" >"$data/.my-healthcheck.cnf"
  )
}

create_database() {
  [ -z "$MARIADB_DATABASE" ] ||
    MARIADB_DATABASE='' docker_process_sql --database mysql <<<"create database if not exists $(name "$MARIADB_DATABASE")"
  [ -n "$MARIADB_USER" ] && [ -n "$MARIADB_PASSWORD$MARIADB_PASSWORD_HASH" ] || return 0
  {
    if [ -n "$MARIADB_PASSWORD_HASH" ]; then
      echo "create user $(text "$MARIADB_USER")@'%' identified by password $(text "$MARIADB_PASSWORD_HASH");"
    else
      echo "create user $(text "$MARIADB_USER")@'%' identified by $(text "$MARIADB_PASSWORD");"
    fi
    [ -z "$MARIADB_DATABASE" ] ||
      echo "grant all on $(granted "$MARIADB_DATABASE").* to $(text "$MARIADB_USER")@'%';"
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
    *.sql.gz) gunzip -c "$1" | docker_process_sql ;;
    *.sql.xz) xzcat "$1" | docker_process_sql ;;
    *.sql.zst) zstd -dc "$1" | docker_process_sql ;;
    *) say "ignoring $1" ;;
  esac
}

initialise() {
  local file
  refuse_to_be_open
  if [ -n "$MARIADB_RANDOM_ROOT_PASSWORD" ]; then
    MARIADB_ROOT_PASSWORD=$(random_password)
    say "GENERATED ROOT PASSWORD: $MARIADB_ROOT_PASSWORD"
  fi
  # The server's own arguments, because where its data goes is among them.
  mariadb-install-db "${@:2}" --auth-root-authentication-method=normal --skip-test-db --skip-log-bin >"$complaints" 2>&1 ||
    fail "mariadb-install-db failed: $(tail -n 10 "$complaints")" "Give it an empty folder that it may write: $data"
  start_for_socket "$@"
  root_password=
  [ -n "$MARIADB_ROOT_PASSWORD_HASH" ] || root_password=$MARIADB_ROOT_PASSWORD
  create_accounts
  create_database
  for file in /docker-entrypoint-initdb.d/*; do
    [ ! -e "$file" ] || run_init_file "$file"
  done
  [ -z "$MARIADB_ROOT_PASSWORD_HASH" ] || MARIADB_DATABASE='' docker_process_sql \
    <<<"set @@session.sql_log_bin = 0; alter user root@localhost identified by password $(text "$MARIADB_ROOT_PASSWORD_HASH")"
  stop
  say 'MariaDB init process done. Ready for start up.'
}

starts_a_server() {
  local argument
  case $1 in mariadbd | mysqld) ;; *) return 1 ;; esac
  for argument; do
    case $argument in -'?' | --help | -V | --version | --print-defaults) return 1 ;; esac
  done
}

case ${1-} in '' | -*) set -- mariadbd "$@" ;; esac

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
    export HOME=/home/mysql
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
