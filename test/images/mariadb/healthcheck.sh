#!/usr/bin/env bash
# The two questions of the official image's healthcheck.sh that compose files ask:
#   healthcheck.sh --connect --innodb_initialized
set -euo pipefail

ask() { mariadb --defaults-file=/var/lib/mysql/.my-healthcheck.cnf --skip-column-names --batch "$@"; }

for question; do
  case $question in
    # By TCP: the server that only initialises has none.
    --connect) ask --host 127.0.0.1 --protocol tcp --execute 'select 1' >/dev/null ;;
    --innodb_initialized)
      [ "$(ask --execute "select 1 from information_schema.engines where engine = 'InnoDB' and support in ('YES', 'DEFAULT')")" = 1 ]
      ;;
    *)
      printf '%s\n' "error: this stand-in does not know $question" 'hint: Ask --connect or --innodb_initialized.' >&2
      exit 1
      ;;
  esac
done
