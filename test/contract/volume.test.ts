import { afterAll, beforeAll, expect, test } from 'vitest';
import { doesRun } from '../support/processes.ts';
import { docker } from '../support/run-process.ts';
import { uniqueName } from '../support/test-container.ts';
import { waitFor } from '../support/wait-for.ts';
import {
  faultyHelperImage,
  fingerprintVolume,
  helpersOf,
  inVolume,
  ownPlaces,
  volumeNamed,
} from '../support/volume.ts';
import { targetContract, type ContractTarget, type Hindrance } from './source-contract.ts';

/** Everything that a file system on Linux can hold and a container may make. */
const RICH = String.raw`
  chown 1000:2000 .; chmod 2775 .
  echo content >file; chown 33:44 file; chmod 4750 file
  ln file zz-linked; ln -s ../outside link; ln -s /nowhere "$(printf 'dang\nling')"
  mkdir -p empty "sp ace/deep"; chmod 1777 "sp ace"; chmod 0 empty
  printf x >"sp ace/$(printf 'new\nline\377|%%')"; printf y >"sp ace/-rf *"
  mkfifo fifo; mknod null c 1 3; mknod block b 7 200; chown 5:6 null
  setfacl -m u:1234:rx,g:www-data:rwx file; setfacl -d -m u:77:rwx "sp ace"
  setfattr -n user.note -v 0x76000a3d31 file; setfattr -n user.dir -v dir empty
  cp /bin/true capable; setcap cap_net_raw+ep capable
  truncate -s 300M sparse; printf middle | dd of=sparse bs=1 seek=150000000 conv=notrunc status=none
  head -c 300000 /dev/zero >zeros
  n=$(printf 'n%.0s' {1..120}); mkdir -p "$n/$n/$n"; echo deep >"$n/$n/$n/$n"
  mkdir many; for i in {1..400}; do echo "$i" >"many/$i"; done
  head -c 400000 /dev/urandom >random
  touch -d '2001-02-03 04:05:06.123456789' file random; touch -h -d '2002-02-03' link; touch -d 1969-12-31 many`;

const CHANGES = `
  rm -r many link fifo; echo changed >file; chmod 600 random; chown 7:8 null; setfattr -x user.dir empty
  setfacl -b capable; mkdir -p added/below; echo new >added/file; mv "sp ace" elsewhere; chown 0:0 .; chmod 755 .`;

const NAME = uniqueName('volume');
const COPY = `${NAME}-copy`;
let helper: Awaited<ReturnType<typeof faultyHelperImage>>;
let hasStarted = false;

beforeAll(async () => {
  helper = await faultyHelperImage();
});

afterAll(async () => {
  await helper[Symbol.asyncDispose]();
  await volumeNamed(COPY)[Symbol.asyncDispose]();
});

function contractVolume(name: string): ContractTarget {
  return {
    ...volumeNamed(name),
    async fill() {
      await inVolume(name, RICH);
    },
    async change() {
      await inVolume(name, CHANGES);
    },
    async poison() {
      await inVolume(name, 'touch poison poison.below');
    },
    async fingerprint() {
      const [own, copy] = [await fingerprintVolume(name), await fingerprintVolume(COPY)];
      return { databases: { [NAME]: own, ...(copy.length === 0 ? {} : { [COPY]: copy }) } };
    },
    async databases() {
      const places = [...(await ownPlaces(name)), ...(await ownPlaces(COPY))];
      return [name, ...places];
    },
    hinder: async (how) => hinder(name, how),
  };
}

async function hinder(
  volume: string,
  how: Hindrance,
): Promise<AsyncDisposable & { untilStopped(): Promise<void> }> {
  await inVolume(volume, `echo '${how}' >hindrance`);
  return {
    async untilStopped() {
      await waitFor('tar that hangs', async () => {
        const helpers = await helpersOf(volume);
        const hangs = await Promise.all(helpers.map(async (name) => doesRun(name, 'sleep 86399')));
        return hangs.includes(true);
      });
    },
    async [Symbol.asyncDispose]() {
      await inVolume(volume, 'rm -f hindrance');
    },
  };
}

const stage = targetContract<ContractTarget>({
  engine: 'volume',
  async start() {
    // The first one has the name that the facts have.
    const name = hasStarted ? uniqueName('volume') : NAME;
    hasStarted = true;
    await docker('volume', 'create', name);
    return contractVolume(name);
  },
  rich: {
    database: NAME,
    facts: {
      tables: {},
      sequences: {},
      objects: {
        entries: 421,
        files: 408,
        hardLinks: 1,
        symbolicLinks: 2,
        directories: 7,
        devices: 2,
        fifos: 1,
      },
      digest: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    },
  },
  other: null,
  copy: COPY,
  wrongFacts: (facts) => [
    [{ ...facts, digest: '0'.repeat(64) }, 'digest'],
    [{ ...facts, objects: { ...facts?.objects, files: 7 } }, 'files'],
  ],
  ourProcesses: async ({ name }) => helpersOf(name),
  get helperImage() {
    return helper.name;
  },
});

test('sparse files stay sparse', async () => {
  await stage.app().restore({ source: 'db' });
  expect(Number(await inVolume(NAME, 'stat -c %b sparse'))).toBeLessThan(1000);
});
