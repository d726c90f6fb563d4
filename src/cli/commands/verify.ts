import { isBackupId } from '../../core/layout.ts';
import type { App } from '../../jobs/context.ts';
import { verifyBackups, type Verification, type VerifyRequest } from '../../jobs/verify.ts';
import { verifyCopies } from '../../jobs/verify-remote.ts';
import type { CommandOf } from '../arguments.ts';
import { failureLines, firstExitCode } from '../failure-text.ts';
import { formatSize } from '../format.ts';
import type { Output } from '../output.ts';
import type { Line, Span } from '../text.ts';

/** `verify`: reads backups back. @returns the exit code of the first that is not whole */
export async function verifyCommand(
  { subject, from }: CommandOf<'verify'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const verifications =
    from === null
      ? await verifyBackups(await asRequest(subject, app), app, signal)
      : await verifyCopies({ ...splitSubject(subject, []), from }, app, signal);
  out.printJson(
    verifications.map(({ id, source, ok, depth, checkedBytes, failure }) => ({
      id,
      source,
      ok,
      depth,
      checkedBytes,
      error: failure,
    })),
  );
  if (verifications.length === 0) {
    out.note('no backups');
  }
  for (const verification of verifications) {
    out.print(verificationLine(verification));
    const { source, id, failure } = verification;
    if (failure !== null) {
      out.note(...failureLines({ ...failure, message: `${source} ${id}: ${failure.message}` }));
    }
  }
  return firstExitCode(verifications.map(({ failure }) => failure));
}

async function asRequest(subject: string | null, { context }: App): Promise<VerifyRequest> {
  return splitSubject(subject, await context.catalog.sources());
}

/** A word that names a source is one; what looks like the beginning of an id is that. */
function splitSubject(subject: string | null, sources: readonly string[]): VerifyRequest {
  if (subject === null) {
    return { source: null, id: null };
  }
  const looksLikeId = isBackupId(subject) || /^\d{4}|\//.test(subject);
  return sources.includes(subject) || !looksLikeId
    ? { source: subject, id: null }
    : { source: null, id: subject };
}

function verificationLine(verification: Verification): Line {
  const { id, source, depth, checkedBytes } = verification;
  return [
    verdictSpan(verification),
    `  ${source}  ${id}  ${depth}, ${formatSize(checkedBytes)} read`,
  ];
}

/** What could not be read may be whole: only what was read and found wrong is damaged. */
function verdictSpan({ failure }: Verification): Span {
  if (failure === null) {
    return { text: 'ok     ', format: 'green' };
  }
  return { text: failure.code === 'archive-corrupt' ? 'DAMAGED' : 'FAILED ', format: 'red' };
}
