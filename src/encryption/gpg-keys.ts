/** A key with its subkeys, as `gpg --with-colons` lists it. */
export interface GpgKey {
  /** Of the primary key, as manifests name it. */
  readonly fingerprint: string;
  /** Whether something can be encrypted for it now. */
  readonly canEncrypt: boolean;
  /** Why not, in words. */
  readonly flaw: string;
  /** From when on it cannot be encrypted for any more, in ms since 1970; null: never. */
  readonly expiresAtMs: number | null;
}

/** The fields of a line that are looked at, by their places (GnuPG, doc/DETAILS). */
const FIELD = { validity: 1, expires: 6, fingerprint: 9, abilities: 11 } as const;

const FLAWS: Readonly<Record<string, string>> = {
  r: 'it is revoked',
  e: 'it is expired',
  d: 'it is disabled',
  i: 'it is invalid',
  n: 'it is not valid',
};

type Line = readonly string[];

/** Reads a list of public keys (`pub`) or of secret ones (`sec`). */
export function readKeyList(listing: string, kind: 'pub' | 'sec'): readonly GpgKey[] {
  const groups: Line[][] = [];
  for (const line of listing.split('\n').map((text) => text.split(':'))) {
    if (line[0] === kind) {
      groups.push([line]);
    } else {
      groups.at(-1)?.push(line);
    }
  }
  return groups.map((lines) => readKey(lines));
}

function readKey(lines: readonly Line[]): GpgKey {
  const primary = lines[0] ?? [];
  const fingerprint = lines.find(([type]) => type === 'fpr');
  // Capitals are what the key as a whole is good for now.
  const canEncrypt = field(primary, 'abilities').includes('E');
  return {
    fingerprint: field(fingerprint ?? [], 'fingerprint'),
    canEncrypt,
    flaw:
      FLAWS[field(primary, 'validity')] ??
      'none of its subkeys can be encrypted for now, as they are expired, revoked or for something else',
    expiresAtMs: earliest(expiryOf(primary), latestOfEncryption(lines)),
  };
}

/** When the last of what can be encrypted for expires. */
function latestOfEncryption(lines: readonly Line[]): number | null {
  const ends = lines
    .filter((line) => ['pub', 'sub', 'sec', 'ssb'].includes(line[0] ?? ''))
    .filter((line) => field(line, 'abilities').includes('e') && !(field(line, 'validity') in FLAWS))
    .map((line) => expiryOf(line));
  return ends.includes(null) || ends.length === 0
    ? null
    : Math.max(...ends.filter((end) => end !== null));
}

function expiryOf(line: Line): number | null {
  const seconds = Number(field(line, 'expires'));
  return seconds === 0 ? null : seconds * 1000;
}

function earliest(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other);
}

function field(line: Line, name: keyof typeof FIELD): string {
  return line[FIELD[name]] ?? '';
}
