const END = Buffer.alloc(1024);
const ROOT = { path: './', type: '5', mode: 0o755 };

/** One member of an archive that is made up. */
export interface PaperMember {
  readonly path?: string;
  readonly type?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly link?: string;
  readonly content?: Buffer;
  readonly size?: number;
  readonly extended?: Readonly<Record<string, string>>;
}

/** A member as tar writes one, with its extended header where it has one. */
function member(what: PaperMember): Buffer {
  const { path = './file', type = '0', mode = 0o644, uid = 0, link = '', extended } = what;
  const { content = Buffer.alloc(0), size = content.length } = what;
  const header = Buffer.alloc(512);
  header.write(path, 0, 'latin1');
  header.write(`${mode.toString(8).padStart(7, '0')}\0`, 100);
  header.write(`${uid.toString(8).padStart(7, '0')}\0`, 108);
  header.write('0000000\0', 116);
  header.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  header.write(`00000000000\0        ${type}`, 136);
  header.write(link, 157, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const before =
    extended === undefined ? Buffer.alloc(0) : member({ type: 'x', content: records(extended) });
  return Buffer.concat([
    before,
    header,
    content,
    Buffer.alloc((512 - (content.length % 512)) % 512),
  ]);
}

function records(values: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries(values).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    const short = rest.length + String(rest.length).length;
    return `${rest.length + String(short).length}${rest}`;
  });
  return Buffer.from(lines.join(''), 'latin1');
}

/** An archive of a volume with these members, written as tar would. */
export function paperTar(...members: readonly PaperMember[]): Buffer {
  return Buffer.concat([...[ROOT, ...members].map((one) => member(one)), END]);
}
