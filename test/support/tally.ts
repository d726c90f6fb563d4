import type { Reporter, TestModule, TestSuite } from 'vitest/node';

interface Tally {
  passed: number;
  failed: number;
  skipped: number;
  startedAt: number;
  endedAt: number;
}

/** Of a file, from its first hook to its last. */
interface Course {
  readonly file: string;
  readonly ms: number;
}

/** What takes longest is worth a look, now and then. */
const SHOWN_FILES = 12;

/**
 * A reporter whose last word, after everything else that is printed, is a line `N passed, N failed[, N skipped]` over all
 * projects, and before it the same with the time for each project, and the files that took longest. What breaks outside a test (a file that does not
 * load, a hook, a rejection that nobody awaited) counts as a failure. A run without any test fails.
 */
export function tallyReporter(): Reporter {
  const projects = new Map<string, Tally>();
  const began = new Map<string, number>();
  const courses: Course[] = [];

  function projectOf(module: TestModule): Tally {
    const known = projects.get(module.project.name);
    const tally = known ?? {
      passed: 0,
      failed: 0,
      skipped: 0,
      startedAt: Date.now(),
      endedAt: Date.now(),
    };
    projects.set(module.project.name, tally);
    return tally;
  }

  return {
    onTestModuleStart(module) {
      projectOf(module);
      began.set(module.id, Date.now());
    },
    onTestModuleEnd(module) {
      const startedAt = began.get(module.id) ?? Date.now();
      courses.push({ file: module.relativeModuleId, ms: Date.now() - startedAt });
      const tally = projectOf(module);
      count(module, tally);
      tally.endedAt = Date.now();
    },
    onTestRunEnd(modules, unhandledErrors, reason) {
      // A file that did not load never started, so it was not counted above.
      for (const module of modules.filter((module) => module.state() === 'failed')) {
        const tally = projectOf(module);
        tally.failed ||= 1;
      }
      const outside = unhandledErrors.length + (reason === 'interrupted' ? 1 : 0);
      process.once('exit', () => {
        printLongest(courses);
        printTallies(projects, outside);
      });
    },
  };
}

function count(module: TestModule, tally: Tally): void {
  for (const test of module.children.allTests()) {
    const { state } = test.result();
    tally[state === 'pending' ? 'failed' : state] += 1;
  }
  const containers: readonly (TestModule | TestSuite)[] = [module, ...module.children.allSuites()];
  tally.failed += containers.filter((container) => container.errors().length > 0).length;
}

function printLongest(courses: readonly Course[]): void {
  for (const { file, ms } of courses.toSorted((a, b) => b.ms - a.ms).slice(0, SHOWN_FILES)) {
    console.log(`${(ms / 1000).toFixed(0).padStart(5)} s  ${file}`);
  }
}

function printTallies(projects: ReadonlyMap<string, Tally>, outside: number): void {
  let [passed, failed, skipped] = [0, outside, 0];
  for (const [name, tally] of projects) {
    const seconds = ((tally.endedAt - tally.startedAt) / 1000).toFixed(1);
    console.log(`${name.padEnd(12)} ${describe(tally)} in ${seconds} s`);
    passed += tally.passed;
    failed += tally.failed;
    skipped += tally.skipped;
  }
  if (failed > 0 || passed === 0) {
    process.exitCode ||= 1;
  }
  console.log(describe({ passed, failed, skipped }));
}

function describe(counts: { passed: number; failed: number; skipped: number }): string {
  const { passed, failed, skipped } = counts;
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
