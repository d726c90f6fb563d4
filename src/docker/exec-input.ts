import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { BackupdError } from '../core/errors.ts';
import type { FailedTool } from './exec-failure.ts';

/** The stdin of a process in a container. */
export interface ExecInput {
  readonly stream: Writable;
  /**
   * The process is over, or was ended for this reason: whoever still writes fails. Whoever wrote everything and has only
   * not said so yet does not: a process that knows where its input ends need not wait to be told.
   */
  close(reason: Error | null): void;
}

export interface ExecInputOptions {
  readonly tool: Pick<FailedTool, 'tool' | 'container'>;
  /** Told whenever bytes were taken. */
  readonly onTaken: () => void;
  /** Told when the stream was destroyed before its end: the process must not take that for the end of its input. */
  readonly onGivenUp: (error: Error | null) => void;
}

const BUFFERED_BYTES = 256 * 1024;

/** Writes into the connection as fast as the process reads; its end half-closes the connection, which is read on. */
export function execInput(socket: Socket, options: ExecInputOptions): ExecInput {
  let isOver = false;
  let endWaiting: (() => void) | null = null;

  function taken(callback: (error?: Error | null) => void): (error?: Error | null) => void {
    return (error) => {
      if (error) {
        isOver = true;
        callback(stoppedReading(options.tool, error));
        return;
      }
      options.onTaken();
      callback();
    };
  }

  function concludeEnd(): void {
    const conclude = endWaiting;
    endWaiting = null;
    conclude?.();
  }

  const stream = new Writable({
    highWaterMark: BUFFERED_BYTES,
    write(chunk: Buffer, _encoding, callback) {
      if (isOver) {
        callback(stoppedReading(options.tool));
      } else {
        socket.write(chunk, taken(callback));
      }
    },
    final(callback) {
      // Every byte was taken. A process that was over before is told nothing any more, and the socket may never say so.
      endWaiting = callback;
      if (isOver) {
        concludeEnd();
      } else {
        socket.end(concludeEnd);
      }
    },
    destroy(error, callback) {
      if (!isOver && !stream.writableFinished) {
        options.onGivenUp(error);
      }
      callback(error);
    },
  });

  return {
    stream,
    close(reason) {
      isOver = true;
      if (reason === null && stream.writableLength === 0) {
        concludeEnd();
      } else if (!stream.writableFinished) {
        stream.destroy(reason ?? stoppedReading(options.tool));
      }
    },
  };
}

function stoppedReading(
  { tool, container }: ExecInputOptions['tool'],
  cause?: Error,
): BackupdError {
  return new BackupdError(
    'restore-failed',
    `${tool} in container "${container}" stopped reading before the end of its input`,
    { hint: `What it said is the reason; docker logs ${container} may say more.`, cause },
  );
}
