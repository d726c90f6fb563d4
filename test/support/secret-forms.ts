/** How a secret may look where it does not belong: as it is, and as JSON, addresses, headers and dumps would have it. */
export function formsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  const base64 = [0, 1, 2].map((shift) => base64Within(bytes, shift));
  const percent = encodeURIComponent(secret);
  return [
    ...new Set([
      secret,
      JSON.stringify(secret).slice(1, -1),
      percent,
      percent.replaceAll('%20', '+'),
      percent.replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`),
      ...base64,
      ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
      bytes.toString('hex'),
    ]),
  ];
}

/** What is the same in base64 whatever stands before it, where that is so many bytes long (modulo 3), and behind it. */
function base64Within(bytes: Buffer, shift: number): string {
  const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
  return text.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6));
}

/** The lines of these texts that show a secret in any form. */
export function linesWith(secret: string, texts: readonly string[]): readonly string[] {
  const forms = formsOf(secret);
  return texts
    .flatMap((text) => text.split('\n'))
    .filter((line) => forms.some((form) => line.includes(form)));
}
