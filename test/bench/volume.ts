import { startIdleContainer } from '../support/idle-container.ts';
import { testVolume, type TestContainer, type TestVolume } from '../support/test-container.ts';
import type { BenchEngine } from './engine.ts';
import { WORDS } from './words.ts';

/** A container that does nothing, with the volumes at `/data`. */
interface Files extends TestContainer {
  readonly volumes: Readonly<Record<string, TestVolume>>;
}

/** Scale 1: 20 000 small files, and with some large ones 1 GB. */
export const VOLUME: BenchEngine<Files> = {
  name: 'Volume',
  async start() {
    await using stack = new AsyncDisposableStack();
    const volumes = {
      small: stack.use(await testVolume()),
      large: stack.use(await testVolume()),
    };
    const mounts = Object.entries(volumes).map(([name, volume]) => `${volume.name}:/data/${name}`);
    const container = stack.use(await startIdleContainer({ volumes: mounts }));
    const kept = stack.move();
    return { ...container, volumes, [Symbol.asyncDispose]: async () => kept.disposeAsync() };
  },
  async fill(server, database, scale) {
    const argv = ['perl', '-', `/data/${database}`, String(scale)];
    const { exitCode, stderr } = await server.exec(argv, { input: FILL });
    if (exitCode !== 0) {
      throw new Error(`the files were not made: ${stderr}`);
    }
  },
  async version(server) {
    const { stdout } = await server.exec(['tar', '--version']);
    return stdout.split('\n')[0] ?? '';
  },
  source: ({ volumes }, database) => `volume://${volumes[database]?.name ?? ''}`,
  // It is refused while a container uses the volume.
  restoreArgs: ({ name }) => ['--stop', name],
  backup: [
    {
      name: 'docker cp - > file; sync',
      script: 'docker cp "$1":/data/large - >"$2"',
      args: () => [],
      atMost: 0.65,
    },
    {
      name: 'docker exec tar | zstd -1 > file; sync',
      script: 'docker exec "$1" tar -C /data/large -cf - . | zstd -q -1 >"$2"',
      args: () => [],
      atMost: 0.85,
    },
  ],
  restore: {
    name: 'zstd -dc file | tar; sync',
    file: /\.tar\.zst$/,
    script: 'zstd -dc "$2" | docker exec -i "$1" tar -C /data/large/by-hand -xf -',
    args: () => [],
    atMost: 1.3,
    async before(server) {
      await server.exec(['mkdir', '/data/large/by-hand']);
    },
    async after(server) {
      await server.exec(['rm', '-r', '/data/large/by-hand']);
    },
  },
};

/** Text as people write it, always the same. */
const FILL = String.raw`
use strict; my ($folder, $scale) = @ARGV; srand(42);
my @words = qw(${WORDS});
sub text { my ($bytes) = @_; my $text = ''; $text .= $words[rand @words] . ' ' while length($text) < $bytes; return $text }
my @texts = map { text(2000 + rand 16000) } 1 .. 400;
sub put { my ($path, @parts) = @_; open(my $file, '>', $path) or die $!; print $file @parts; close $file or die $! }
for my $n (0 .. 20000 * $scale - 1) {
  my $in = sprintf('%s/%02d/%02d', $folder, $n % 100, int($n / 100) % 20);
  mkdir $_ for (sprintf('%s/%02d', $folder, $n % 100), $in);
  put("$in/file-$n.txt", $n, ' ', $texts[rand @texts]);
}
for my $n (0 .. 7) { put("$folder/large-$n", map { $_, ' ', $texts[rand @texts] } 1 .. 10000 * $scale) }
`;
