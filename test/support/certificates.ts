import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProcess } from './run-process.ts';

/** An authority of one's own, and a certificate of it for this host: `public.crt` and `private.key`. Returns the authority. */
export async function makeCertificates(dir: string): Promise<string> {
  const script = `
    cd "$1"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=store -keyout private.key -out store.csr
    printf 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:host.docker.internal' >names
    openssl x509 -req -in store.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out public.crt`;
  const made = await runProcess(['sh', '-e', '-c', script, 'sh', dir]);
  if (made.exitCode !== 0) {
    throw new Error(made.stderr);
  }
  await chmod(join(dir, 'private.key'), 0o644);
  await chmod(dir, 0o755);
  return readFile(join(dir, 'ca.pem'), 'utf8');
}
