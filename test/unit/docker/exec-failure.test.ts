import { describe, expect, it } from 'vitest';
import { programName, tellingLine, toolFailure } from '../../../src/docker/exec-failure.ts';
import { containing } from '../../support/matchers.ts';

const of = { tool: 'pg_dump', code: 'dump-failed', container: 'shop-db-1' } as const;

describe('toolFailure', () => {
  it('names tool, container, exit code and what was said', () => {
    const failure = toolFailure(
      of,
      { exitCode: 1, ending: 'itself' },
      'pg_dump: last built-in OID is 16383\npg_dump: error: query failed: ERROR:  permission denied for table orders\npg_dump: detail: Query was: LOCK TABLE\n',
    );
    expect(failure).toMatchObject({
      code: 'dump-failed',
      message:
        'pg_dump in container "shop-db-1" exited with 1: pg_dump: error: query failed: ERROR:  permission denied for table orders',
    });
    expect((failure.cause as Error).message).toContain('LOCK TABLE');
  });

  it('says of a killed tool that it was killed, and why that may be', () => {
    expect(toolFailure(of, { exitCode: 137, ending: 'itself' }, 'Killed\n')).toMatchObject({
      message:
        'pg_dump in container "shop-db-1" was killed (exit code 137), maybe for lack of memory',
      hint: containing('memory'),
    });
  });

  it.each([
    ['container-stopped', 137, /exited with 137, the container stopped$/],
    ['container-removed', null, /gave no exit code, the container was removed$/],
    ['connection-cut', null, /gave no exit code, the connection to Docker was cut while it ran$/],
  ] as const)('says what happened around it: %s', (ending, exitCode, message) => {
    expect(toolFailure(of, { exitCode, ending }, '').message).toMatch(message);
  });
});

describe('tellingLine', () => {
  it('takes the first error, else the last line, else nothing', () => {
    expect(tellingLine('reading\nx: error: first\nx: error: second\n')).toBe('x: error: first');
    expect(tellingLine('reading table "errors"\nno more\n\n')).toBe('no more');
    expect(tellingLine('\n')).toBeNull();
  });
});

describe('programName', () => {
  it('is the program, or what a script is called', () => {
    expect(programName(['pg_dump', '-Fc'])).toBe('pg_dump');
    expect(programName(['sh', '-c', 'script', 'pg_dump', '3', 'pg_dump'])).toBe('pg_dump');
    expect(programName(['sh', '-c', 'script'])).toBe('sh');
  });
});
