import type { ExecRequest } from '../../docker/exec.ts';
import type { Connection } from './connection.ts';

/**
 * $@: the tool and its arguments. It reads the password from descriptor 3 and its own input from 0, so that the password is in no
 * argument and in no file.
 */
const WITH_PASSWORD = `
{
  printf '%s\\n' "$BACKUPD_TOOL_CONFIG" | {
    unset BACKUPD_TOOL_CONFIG
    exec "$@" --config=/dev/fd/3 3<&0 <&4 4<&-
  }
} 4<&0`;

/** How one of the database tools is run: where the server is, and how to log in. */
export function toolRequest(
  { containerId, container, run, port, login }: Connection,
  [tool = '', ...args]: readonly string[],
): ExecRequest {
  const argv = [tool, '--host=127.0.0.1', `--port=${port}`, ...args];
  const at = { containerId, container, run };
  if (login === null) {
    return { ...at, argv };
  }
  const who = [`--username=${login.user}`, '--authenticationDatabase=admin'];
  return {
    ...at,
    argv: ['sh', '-c', WITH_PASSWORD, tool, ...argv, ...who],
    env: { BACKUPD_TOOL_CONFIG: `password: '${login.password.replaceAll("'", "''")}'` },
  };
}

/** A name where tools take patterns. */
export function escapePattern(name: string): string {
  return name.replaceAll(/[\\*$]/g, String.raw`\$&`);
}
