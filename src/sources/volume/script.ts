import { BackupdError } from '../../core/errors.ts';
import { reasonOf } from '../../docker/exec-failure.ts';
import { runExec } from '../../docker/run-exec.ts';
import type { Mounted } from './mounted.ts';
import { TAR_ENVIRONMENT, ATTRIBUTES } from './tar.ts';

/**
 * What all scripts know. Names are moved by rename alone, never copied; all of them are found before the first one is
 * moved; and what is left behind is an error, whatever the tools said.
 */
const FUNCTIONS = `
set -eu
v=/volume
first() { find "$1" -mindepth 1 -maxdepth 1 ! -name '.backupd-*' -print -quit; }
move() {
  find "$1" -mindepth 1 -maxdepth 1 ! -name '.backupd-*' -print0 | sort -z |
    xargs -0 -r mv --no-copy --update=none-fail -t "$2" --
  [ -z "$(first "$1")" ] || { echo "error: not everything could be moved" >&2; exit 1; }
}
# Whatever we do with what is ours at the top, the time of the volume's own directory is that of the others' changes.
unseen() { stamp=$(stat -c %y -- "$v"); "$@"; touch -d "$stamp" -- "$v"; }
attributes() {
  tar --create --file=- --directory="$1" --format=posix --no-recursion --numeric-owner ${ATTRIBUTES.join(' ')} . |
    tar --extract --file=- --directory="$2" --numeric-owner --same-owner --preserve-permissions ${ATTRIBUTES.join(' ')}
}
`;

/** Each is run with arguments of its own, and does no harm when it is run again. */
const SCRIPTS = {
  /** $1: the place; makes it ready for a load. */
  prepare: `
unseen mkdir -m 0700 -- "$1"
mkdir -m 0700 -- "$1/new" "$1/new/files"`,
  /** $1: the place; what was loaded is on the disk when this ends. */
  loaded: `
mkdir -m 0700 -- "$1/new/root"
attributes "$1/new/files" "$1/new/root"
sync -f "$v"`,
  /** $1: the place, $2: what is to be known of it; moves out all that is there. Says whether that was anything. */
  leave: `
unseen mkdir -m 0700 -p -- "$1"
[ -n "$(first "$v")" ] && said=replaced || said=
printf '%s\\n' "$2" >"$1/about.part"
[ -z "$said" ] || : >"$1/replaced"
mv -T -- "$1/about.part" "$1/about"
mkdir -m 0700 -- "$1/old" "$1/old/files" "$1/old/root.part"
attributes "$v" "$1/old/root.part"
mv -T -- "$1/old/root.part" "$1/old/root"
sync -f "$v"
move "$v" "$1/old/files"
sync -f "$v"
echo "$said"`,
  /** $1: the place, $2: what comes in; from here on there is no way but forward. */
  turn: `
mv --no-copy -T -- "$2" "$1/incoming"
sync -f "$v"`,
  /** $1: the place; moves in what comes. */
  enter: `
if [ -d "$1/incoming/files" ]; then
  move "$1/incoming/files" "$v"
  attributes "$1/incoming/root" "$v"
  sync -f "$v"
  rmdir -- "$1/incoming/files"
fi
[ ! -d "$1/incoming/root" ] || rmdir -- "$1/incoming/root"
rmdir -- "$1/incoming"
sync -f "$v"`,
  /** $1: the place; takes back what moved out. */
  back: `
if [ -d "$1/old/root" ]; then
  move "$1/old/files" "$v"
  attributes "$1/old/root" "$v"
  sync -f "$v"
fi
rm -rf -- "$1/old" "$1/about" "$1/replaced"`,
  /** $1: the place, $2: what was to come in; says how far it came. */
  state: `
if [ -d "$1/incoming" ]; then echo turned
elif [ -d "$2" ]; then echo leaving
elif [ -d "$1/old" ]; then echo entered
else echo nothing
fi`,
  /** $1: the place; removes what was never in use. Says whether anything else is there. */
  discard: `
[ -d "$1/old" ] || [ -d "$1/incoming" ] || unseen rm -rf -- "$1"
sync -f "$v"
[ -n "$(find "$v" -mindepth 1 -maxdepth 1 -print -quit)" ] && echo used || echo empty`,
  /** $1: the place; drops what was kept. */
  drop: `
[ ! -d "$1/old" ] || [ -d "$1/incoming" ] || unseen rm -rf -- "$1"
sync -f "$v"`,
  /** $1: the place of what was swapped back, which is empty now. */
  emptied: `[ -d "$1/old" ] || unseen rm -rf -- "$1"`,
  /** A line for each thing that is kept: whether it was anything, and what is to be known of it. */
  kept: `
for place in "$v"/.backupd-*; do
  if [ -d "$place/old/root" ] && [ -f "$place/about" ] && [ ! -d "$place/incoming" ]; then
    [ -f "$place/replaced" ] && printf 'replaced ' || printf 'nothing '
    cat -- "$place/about"
  fi
done`,
  /** Whether there is anything, and what the disk has. */
  look: `
[ -n "$(first "$v")" ] && echo used || echo empty
df -Pk -- "$v" | tail -n 1`,
} as const;

/** Whether there is anything in the volume but what is ours. */
export async function isUsed(mounted: Mounted, signal: AbortSignal): Promise<boolean> {
  return (await lookInto(mounted, signal)).isUsed;
}

interface Look {
  readonly isUsed: boolean;
  /** Of the disk; null where nobody can tell. */
  readonly freeBytes: number | null;
  readonly diskBytes: number | null;
}

/** What there is in the volume, and how much more could be. */
export async function lookInto(mounted: Mounted, signal: AbortSignal): Promise<Look> {
  const [used, space = ''] = (await runScript(mounted, 'look', [], signal)).split('\n');
  const columns = space.trim().split(/\s+/);
  function bytesIn(column: number): number | null {
    const blocks = columns.at(column) ?? '';
    return /^\d+$/.test(blocks) ? Number(blocks) * 1024 : null;
  }
  return { isUsed: used === 'used', freeBytes: bytesIn(-3), diskBytes: bytesIn(-5) };
}

/** Runs one of the scripts in a volume that is mounted. @throws BackupdError `restore-failed` with what it said */
export async function runScript(
  { docker, containerId, container, run }: Mounted,
  name: keyof typeof SCRIPTS,
  args: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const argv = ['sh', '-c', FUNCTIONS + SCRIPTS[name], name, ...args];
  const request = { containerId, container, run, argv, env: TAR_ENVIRONMENT };
  const result = await runExec(docker, request, signal);
  if (result.exitCode !== 0) {
    throw new BackupdError(
      'restore-failed',
      `the step "${name}" failed in the volume: ${reasonOf(result, result.stderr)}`,
    );
  }
  return result.stdout.trim();
}
