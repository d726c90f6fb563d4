import { describe, expect, test } from 'vitest';
import {
  scratchOptions,
  type ScratchModel,
  type ScratchSpec,
} from '../../../src/docker/scratch-spec.ts';

const MODEL: ScratchModel = {
  entrypoint: null,
  command: ['postgres', '-c', 'config_file=/etc/pg/postgresql.conf'],
  user: '999',
  env: new Map([
    ['POSTGRES_PASSWORD', 'secret'],
    ['APP_TOKEN', 'secret'],
    ['PGDATA', '/data/pg'],
  ]),
  memoryBytes: 0,
  shmBytes: 256,
  binds: [
    { source: '/srv/pg.conf', path: '/etc/pg/postgresql.conf' },
    { source: '/srv/data', path: '/data/pg' },
    { source: '/srv/wal', path: '/var/lib/postgresql/data/pg_wal' },
    { source: '/var/run/docker.sock', path: '/etc/pg/docker.sock' },
    { source: '/srv/other', path: '/other' },
  ],
};

function specOf(model: ScratchModel | null, changes: Partial<ScratchSpec> = {}): ScratchSpec {
  return {
    name: 'backupd-scratch-1',
    owner: 'id/db',
    image: {
      id: 'sha256:1',
      command: ['postgres'],
      volumes: ['/var/lib/postgresql/data'],
      variables: ['PATH', 'POSTGRES_PASSWORD_FILE'],
      labels: ['com.docker.compose.project', 'backupd.enable'],
    },
    model,
    server: {
      programs: ['postgres'],
      keptVariables: ['PGDATA', 'TZ'],
      configPlaces: [],
      droppedOptions: ['--replSet', '--keyFile', '--shardsvr'],
      options: ['-c', 'archive_mode=off'],
    },
    variables: { POSTGRES_PASSWORD: 'random' },
    memoryBytes: 1000,
    cpus: 1,
    ...changes,
  };
}

describe('a scratch container', () => {
  test('is cut off from everything, and found again', () => {
    expect(scratchOptions(specOf(MODEL))).toMatchObject({
      Image: 'sha256:1',
      User: '999',
      Labels: {
        'com.docker.compose.project': '',
        'backupd.enable': 'false',
        'backupd-scratch': 'id/db',
      },
      HostConfig: {
        NetworkMode: 'none',
        PortBindings: {},
        RestartPolicy: { Name: 'no' },
        Memory: 1000,
        NanoCpus: 1e9,
        ShmSize: 256,
        Tmpfs: { '/docker-entrypoint-initdb.d': 'size=64k' },
      },
    });
  });

  test('has none of the variables of the model but those that decide about its data', () => {
    expect(scratchOptions(specOf(MODEL)).Env).toEqual([
      'PGDATA=/data/pg',
      'POSTGRES_PASSWORD=random',
      'POSTGRES_PASSWORD_FILE',
    ]);
  });

  test('has the files that the command names, read-only, and never data', () => {
    const binds = scratchOptions(specOf(MODEL)).HostConfig?.Mounts?.filter(
      ({ Type }) => Type === 'bind',
    );
    expect(binds).toEqual([
      { Type: 'bind', Source: '/srv/pg.conf', Target: '/etc/pg/postgresql.conf', ReadOnly: true },
    ]);
  });

  test('has a labelled volume on each path of the image', () => {
    const volumes = scratchOptions(specOf(null)).HostConfig?.Mounts;
    expect(volumes).toMatchObject([
      {
        Type: 'volume',
        Source: 'backupd-scratch-1-0',
        Target: '/var/lib/postgresql/data',
        VolumeOptions: { Labels: { 'backupd-scratch': 'id/db' } },
      },
    ]);
  });

  test.each([
    [
      ['postgres', '-c', 'x=1'],
      ['postgres', '-c', 'x=1', '-c', 'archive_mode=off'],
    ],
    [
      ['-c', 'x=1'],
      ['-c', 'x=1', '-c', 'archive_mode=off'],
    ],
    [['/usr/bin/postgres'], ['/usr/bin/postgres', '-c', 'archive_mode=off']],
    [
      ['sh', '-c', 'exec postgres'],
      ['sh', '-c', 'exec postgres'],
    ],
  ])('is called as the model, with the last word: %s', (command, called) => {
    expect(scratchOptions(specOf({ ...MODEL, command })).Cmd).toEqual(called);
  });

  test.each([
    [
      ['postgres', '--replSet', 'rs0', '-c', 'x=1'],
      ['postgres', '-c', 'x=1'],
    ],
    [['--replSet=rs0', '--keyFile=/key', '--bind_ip_all'], ['--bind_ip_all']],
    [
      ['postgres', '--shardsvr', '--port', '27017'],
      ['postgres', '--port', '27017'],
    ],
    [['postgres', '--keyFile', '/key'], ['postgres']],
  ])('belongs to no set of servers: %j', (command, called) => {
    const { Cmd } = scratchOptions(specOf({ ...MODEL, command }));
    expect(Cmd).toEqual([...called, '-c', 'archive_mode=off']);
  });

  test('belongs to no set of servers where the entrypoint is the server, and a script is left as it is', () => {
    const entrypoint = ['/usr/bin/postgres', '--replSet', 'rs0'];
    const command = ['sh', '-c', 'exec postgres --replSet rs0'];
    expect(scratchOptions(specOf({ ...MODEL, entrypoint, command }))).toMatchObject({
      Entrypoint: ['/usr/bin/postgres'],
      Cmd: command,
    });
  });
});
