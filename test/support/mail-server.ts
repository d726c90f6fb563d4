import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { SMTPServer, type SMTPServerSession } from 'smtp-server';

export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  /** Who had logged in; null: nobody. */
  readonly user: string | null;
  readonly secure: boolean;
  readonly raw: string;
}

export interface MailServerOptions {
  readonly cert: string;
  readonly key: string;
  /** Whether it speaks TLS from the start. */
  readonly secure?: boolean;
  /** Whether it offers STARTTLS; default: yes. */
  readonly startTls?: boolean;
  /** Default: this host alone. */
  readonly host?: string;
  /** Who may log in; absent: nobody has to. */
  readonly login?: { readonly user: string; readonly pass: string };
}

/** A real SMTP server that keeps what it gets. */
export interface MailServer extends AsyncDisposable {
  readonly port: number;
  readonly mails: Mail[];
  /** How it takes mail from now on; null: gladly. `hang`: it does not answer. */
  fail(how: 'hang' | { readonly code: number; readonly message: string } | null): void;
}

export async function mailServer(options: MailServerOptions): Promise<MailServer> {
  const { cert, key, secure = false, startTls = true, login } = options;
  const mails: Mail[] = [];
  let fault: Parameters<MailServer['fail']>[0] = null;
  async function take(
    stream: Readable,
    { envelope, user, secure }: SMTPServerSession,
    done: (error?: Error | null) => void,
  ): Promise<void> {
    const raw = await text(stream);
    if (fault === 'hang') {
      return;
    }
    if (fault !== null) {
      done(Object.assign(new Error(fault.message), { responseCode: fault.code }));
      return;
    }
    const { mailFrom, rcptTo } = envelope;
    const to = rcptTo.map(({ address }) => address);
    const from = mailFrom === false ? '' : mailFrom.address;
    mails.push({ from, to, user: typeof user === 'string' ? user : null, secure, raw });
    done();
  }

  const server = new SMTPServer({
    cert,
    key,
    secure,
    authOptional: login === undefined,
    disabledCommands: startTls ? [] : ['STARTTLS'],
    onAuth({ username, password }, _session, done) {
      if (username === login?.user && password === login?.pass) {
        done(null, { user: username });
      } else {
        // Some servers repeat what they were told.
        done(new Error(`Invalid username or password for ${username ?? ''}: ${password ?? ''}`));
      }
    },
    onData(stream, session, done) {
      void take(stream, session, done);
    },
  });
  // A client that does not trust it goes away.
  server.on('error', () => undefined);
  server.listen(0, options.host ?? '127.0.0.1');
  await once(server.server, 'listening');
  return {
    port: (server.server.address() as AddressInfo).port,
    mails,
    fail(how) {
      fault = how;
    },
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
    },
  };
}
