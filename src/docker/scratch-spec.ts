import type Docker from 'dockerode';
import { basename } from 'node:path';

/** Marks what a drill made; its value says whose: `<identity>/<source>`. No label of the configuration: those have a dot. */
export const SCRATCH_LABEL = 'backupd-scratch';

/** The image of a scratch container, as far as it matters. */
export interface ScratchImage {
  readonly id: string;
  readonly command: readonly string[];
  /** The paths that it declares as volumes. */
  readonly volumes: readonly string[];
  readonly variables: readonly string[];
  readonly labels: readonly string[];
}

/** The container that the backup is of, as it is configured now. */
export interface ScratchModel {
  readonly entrypoint: readonly string[] | null;
  readonly command: readonly string[];
  readonly user: string;
  readonly env: ReadonlyMap<string, string>;
  readonly memoryBytes: number;
  readonly shmBytes: number;
  readonly binds: readonly { readonly source: string; readonly path: string }[];
}

/** What an engine wants of a scratch container. */
export interface ScratchServer {
  /** Names of its program: the first process of a container that is ready. */
  readonly programs: readonly string[];
  /** Variables of the model that decide how its data is made, and hold no secret. */
  readonly keptVariables: readonly string[];
  /** Folders and files in which it finds its configuration unasked. */
  readonly configPlaces: readonly string[];
  /** Options of the model, with their values, that make it a part of something which is not there. */
  readonly droppedOptions: readonly string[];
  /** Arguments after all others. */
  readonly options: readonly string[];
}

export interface ScratchSpec {
  readonly name: string;
  readonly owner: string;
  readonly image: ScratchImage;
  /** Null where there is none any more. */
  readonly model: ScratchModel | null;
  readonly server: ScratchServer;
  /** With the password. */
  readonly variables: Readonly<Record<string, string>>;
  readonly memoryBytes: number;
  readonly cpus: number;
}

/** Where the images look for what is to be run or loaded into new data. */
const INIT_SCRIPTS = '/docker-entrypoint-initdb.d';

/**
 * The container: like the model in what decides about the data, cut off from everything else. No network, no port, no
 * restart, none of the labels that the image brings (compose and others would take it for one of theirs).
 */
export function scratchOptions(spec: ScratchSpec): Docker.ContainerCreateOptions {
  const { name, image, model, server } = spec;
  return {
    name,
    Image: image.id,
    ...(model === null || model.entrypoint === null
      ? {}
      : { Entrypoint: [...alone(model.entrypoint, server)] }),
    Cmd: [...commandOf(spec)],
    ...(model === null || model.user === '' ? {} : { User: model.user }),
    Env: [...environmentOf(spec)],
    Labels: {
      ...Object.fromEntries(image.labels.map((label) => [label, ''])),
      'backupd.enable': 'false',
      [SCRATCH_LABEL]: spec.owner,
    },
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      NetworkMode: 'none',
      RestartPolicy: { Name: 'no' },
      PortBindings: {},
      PublishAllPorts: false,
      Memory: spec.memoryBytes,
      NanoCpus: Math.round(spec.cpus * 1e9),
      ...(model === null || model.shmBytes === 0 ? {} : { ShmSize: model.shmBytes }),
      // Whatever the host's own is, what a server says can be read there.
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m' } },
      SecurityOpt: ['label=disable'],
      Tmpfs: { [INIT_SCRIPTS]: 'size=64k' },
      Mounts: [
        ...image.volumes.map((path, index) => volumeMount(spec, path, index)),
        ...(model === null ? [] : configBinds(model, image, server)).map(
          ({ source, path }): Docker.MountSettings => ({
            Type: 'bind',
            Source: source,
            Target: path,
            ReadOnly: true,
          }),
        ),
      ],
    },
  };
}

/** Labelled as well: it is found when the container is gone, or was never made. */
function volumeMount(
  { name, owner }: ScratchSpec,
  path: string,
  index: number,
): Docker.MountSettings {
  return {
    Type: 'volume',
    Source: `${name}-${index}`,
    Target: path,
    ReadOnly: false,
    VolumeOptions: {
      NoCopy: false,
      Labels: { [SCRATCH_LABEL]: owner },
      DriverConfig: { Name: 'local', Options: {} },
    },
  };
}

/** With the options of the engine where the server itself is called; a script is left as it is. */
function commandOf({ image, model, server }: ScratchSpec): readonly string[] {
  const command = model?.command ?? image.command;
  const [first = ''] = command;
  const isServer =
    first === '' || first.startsWith('-') || server.programs.includes(basename(first));
  return isServer ? [...alone(command, server), ...server.options] : command;
}

/** Without what is dropped, each as `--name value`, `--name=value`, or a flag before another option. */
function alone(argv: readonly string[], { droppedOptions }: ScratchServer): readonly string[] {
  return argv.filter((argument, index) => {
    const before = argv[index - 1] ?? '';
    const isValue = droppedOptions.includes(before) && !argument.startsWith('-');
    return !isValue && !droppedOptions.includes(argument.replace(/=.*$/s, ''));
  });
}

/** What the image has, Docker adds; a name alone takes it out: a password in a file would contradict ours. */
function environmentOf({ image, model, server, variables }: ScratchSpec): readonly string[] {
  const kept = server.keptVariables.flatMap((variable) => {
    const value = model?.env.get(variable);
    return value === undefined ? [] : [`${variable}=${value}`];
  });
  const own = Object.entries(variables).map(([variable, value]) => `${variable}=${value}`);
  const contradicting = image.variables.filter(
    (variable) => variable.endsWith('_FILE') && variable.slice(0, -'_FILE'.length) in variables,
  );
  return [...kept, ...own, ...contradicting];
}

/**
 * Files of the host that the command names, or that lie where the server looks unasked. Never what is data: nothing of
 * the model's may be written to, and its data is not to be found there.
 */
function configBinds(
  { entrypoint, command, binds, env }: ScratchModel,
  { volumes }: ScratchImage,
  { configPlaces }: ScratchServer,
): ScratchModel['binds'] {
  const named = [...(entrypoint ?? []), ...command]
    .flatMap((argument) => argument.split(/[\s=,:]+/))
    .filter((part) => part.startsWith('/'));
  const data = [...volumes, ...DATA_VARIABLES.flatMap((name) => env.get(name) ?? []), INIT_SCRIPTS];
  return binds.filter(
    ({ source, path }) =>
      !source.endsWith('.sock') &&
      !data.some((place) => isWithin(path, place) || isWithin(place, path)) &&
      (named.some((file) => isWithin(file, path)) ||
        configPlaces.some((place) => isWithin(path, place))),
  );
}

const DATA_VARIABLES = ['PGDATA', 'POSTGRES_INITDB_WALDIR'];

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}
