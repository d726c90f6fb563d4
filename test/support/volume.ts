import { docker, runProcess } from './run-process.ts';
import { backupdImage } from './backupd.ts';
import { runContainer, startContainer, uniqueName, type TestVolume } from './test-container.ts';

/** Has what fills volumes and looks at them; backupd does not use it. */
const TOOLS = 'backupd-test/volume-tools:1';

/** Runs a script with the volume, or the host's directory, as its working directory. @throws Error where it fails */
export async function inVolume(volume: string, script: string): Promise<string> {
  const { exitCode, stdout, stderr } = await runContainer({
    image: TOOLS,
    volumes: [`${volume}:/volume`],
    network: 'none',
    args: ['bash', '-euc', `cd /volume; ${script}`],
  });
  if (exitCode !== 0) {
    throw new Error(`the script ended with ${exitCode}: ${stderr}${stdout}`);
  }
  return stdout;
}

/** A line for each thing in a volume, by name: all that a restore has to bring back. One character is one byte. */
export type VolumeFingerprint = readonly string[];

/** Without what restores keep. Every tool that is used here is another one than backupd uses, and none is a reader of archives. */
const FINGERPRINT = `
own() { find . -path './.backupd-*' -prune -o "$@"; }
{
  # Directories have a size of their own in each file system; who is linked with whom, the first name tells.
  own -printf '%p|%y|%m|%U:%G|%l|%T@|%n|%i\\0' | python3 -c '
import os, sys
first = {}
for line in sorted(sys.stdin.buffer.read().split(b"\\0")[:-1]):
    path, kind, *rest, links, inode = line.rsplit(b"|", 7)
    name = first.setdefault(inode, path) if kind != b"d" and links != b"1" else b""
    device = os.lstat(path).st_rdev if kind in b"bc" else 0
    size = os.lstat(path).st_size if kind == b"f" else 0
    sys.stdout.buffer.write(b"|".join([path, kind, *rest, b"with " + name, b"%d %d" % (device, size)]) + b"\\0")
'
  own -type f -print0 | sort -z | xargs -0r sha256sum --zero
  own -print0 | sort -z | xargs -0r getfattr --no-dereference --dump --match=- --encoding=hex --absolute-names 2>/dev/null | tr '\\n' '\\0'
  own ! -type l -print0 | sort -z | xargs -0r getfacl --numeric --skip-base --absolute-names 2>/dev/null | tr '\\n' '\\0'
} | base64 --wrap=0`;

/** @returns nothing for a volume that is empty, or not there */
export async function fingerprintVolume(volume: string): Promise<VolumeFingerprint> {
  if (!volume.startsWith('/') && !(await isThere(volume))) {
    return [];
  }
  const encoded = await inVolume(volume, FINGERPRINT);
  const lines = Buffer.from(encoded, 'base64').toString('latin1').split('\0');
  const found = lines.filter((line) => line !== '');
  return found.some((line) => line.startsWith('./')) ? found : [];
}

/** What restores keep in a volume, and what they load: the names of its directories of ours. */
export async function ownPlaces(volume: string): Promise<readonly string[]> {
  if (!(await isThere(volume))) {
    return [];
  }
  const found = await inVolume(volume, `find . -maxdepth 1 -name '.backupd-*' -printf '%f\\n'`);
  return found.split('\n').filter((line) => line !== '');
}

async function isThere(volume: string): Promise<boolean> {
  return (await runProcess(['docker', 'volume', 'inspect', volume])).exitCode === 0;
}

/** Names of the containers of backupd that use this volume now, whatever their state. */
export async function helpersOf(volume: string): Promise<readonly string[]> {
  const filters = ['--filter', `volume=${volume}`, '--filter', 'label=backupd-helper'];
  const found = await docker('ps', '--all', '--format', '{{.Names}}', ...filters);
  return found.split('\n').filter((line) => line !== '');
}

/** A volume of that name, which need not be there yet, and is gone afterwards. */
export function volumeNamed(name: string): TestVolume {
  return {
    name,
    async [Symbol.asyncDispose]() {
      await docker('volume', 'rm', '--force', name);
    },
  };
}

/** tar as it is, but where a file in the volume says what is to become of it. */
const TAR = `#!/bin/sh
case " $* " in
  *' --no-recursion '*) ;;
  *' --create '*' --directory=/volume '*)
    # What comes below a file cannot be made.
    [ ! -e /volume/poison.below ] || set -- --transform='s,^\\./poison\\.below$,./poison/below,' "$@"
    case "$(cat /volume/hindrance 2>/dev/null)" in
      'dies half-way') /usr/bin/tar "$@" | head -c 20000; kill -9 $$ ;;
      'dies after its last byte') /usr/bin/tar "$@"; kill -9 $$ ;;
      'stops half-way') /usr/bin/tar "$@" | { head -c 20000; exec sleep 86399; } ;;
    esac ;;
esac
exec /usr/bin/tar "$@"
`;

/** The image under test with a tar that can be told to fail; the image is gone when it is disposed. */
export async function faultyHelperImage(): Promise<AsyncDisposable & { readonly name: string }> {
  const name = `backupd-test/faulty-helper:${uniqueName('image')}`;
  await using box = await startContainer({
    image: await backupdImage(),
    entrypoint: 'sleep',
    args: ['infinity'],
    user: 'root',
  });
  const put = await box.exec(
    ['sh', '-c', 'cat >/usr/local/bin/tar && chmod 755 /usr/local/bin/tar'],
    {
      input: TAR,
    },
  );
  if (put.exitCode !== 0) {
    throw new Error(`tar could not be replaced: ${put.stderr}`);
  }
  await docker('commit', box.name, name);
  return {
    name,
    async [Symbol.asyncDispose]() {
      await docker('image', 'rm', '--force', name);
    },
  };
}
