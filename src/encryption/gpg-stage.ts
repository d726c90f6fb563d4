import { Duplex } from 'node:stream';
import { callbackify } from 'node:util';
import { BackupdError } from '../core/errors.ts';
import { startGpg, type GpgExit, type GpgSetting } from './gpg-process.ts';

/**
 * A gpg in a pipeline. Its end is the verdict, not the end of its output: the stream ends only where `judge` finds nothing
 * wrong with how gpg ended and all that went in was read. Destroying it ends gpg.
 */
export function gpgStage(
  setting: GpgSetting,
  args: readonly string[],
  judge: (exit: GpgExit) => BackupdError | null,
): Duplex {
  const gpg = startGpg(setting, args);
  let isFed = false;

  const ended = callbackify(async (error: Error | null) => {
    await gpg.exit;
    if (error !== null) {
      throw error;
    }
  });

  async function settle(): Promise<void> {
    const wrong = judge(await gpg.exit);
    if (wrong !== null) {
      stage.destroy(wrong);
    } else if (isFed) {
      stage.push(null);
    } else {
      stage.destroy(new BackupdError('archive-corrupt', 'has more than gpg takes for it'));
    }
  }

  const stage = new Duplex({
    write(bytes: Buffer, _encoding, done) {
      gpg.stdin.write(bytes, (error) => {
        // Where gpg went away before, how it ended says why: that is told once it is known.
        if (error === null || error === undefined) {
          done();
        }
      });
    },
    final(done) {
      isFed = true;
      // That it could not be written, how gpg ended says as well.
      gpg.stdin.end(() => {
        done();
      });
    },
    read() {
      gpg.stdout.resume();
    },
    destroy(error, done) {
      gpg.kill();
      gpg.stdout.destroy();
      ended(error, done);
    },
  });
  gpg.stdout.on('data', (bytes: Buffer) => {
    if (!stage.push(bytes)) {
      gpg.stdout.pause();
    }
  });
  void settle();
  return stage;
}
