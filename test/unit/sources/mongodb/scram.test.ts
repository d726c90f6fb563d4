import { expect, test } from 'vitest';
import { scramSha256, ScramError } from '../../../../src/sources/mongodb/scram.ts';

/** What a server says first: the nonce of the client with its own behind it. */
function serverFirst(clientFirst: string, iterations = 4096): string {
  const nonce = /r=(.*)$/.exec(clientFirst)?.[1] ?? '';
  return `r=${nonce}server,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=${iterations}`;
}

test('a name may have any characters; neither it nor what follows tells the password', () => {
  const scram = scramSha256('a,b=c', 'pencil');
  expect(scram.first).toMatch(/^n,,n=a=2Cb=3Dc,r=[A-Za-z0-9+/]{32}$/);
  const answer = scram.answer(serverFirst(scram.first));
  expect(answer).toMatch(/^c=biws,r=.*server,p=[A-Za-z0-9+/]{43}=$/);
});

test.each([
  ['answers another client', (first: string) => serverFirst(first).replace('r=', 'r=x')],
  ['asks for what makes guessing cheap', (first: string) => serverFirst(first, 1)],
  ['says nothing that can be read', () => 'e=other-error'],
])('a server that %s gets no proof', (_what, answer) => {
  const scram = scramSha256('user', 'pencil');
  expect(() => scram.answer(answer(scram.first))).toThrow(ScramError);
});

test('a server that does not know the password is found out', () => {
  const scram = scramSha256('user', 'pencil');
  scram.answer(serverFirst(scram.first));
  for (const last of [`v=${Buffer.alloc(32).toString('base64')}`, 'v=', 'e=invalid-proof']) {
    expect(() => {
      scram.check(last);
    }).toThrow(ScramError);
  }
});
