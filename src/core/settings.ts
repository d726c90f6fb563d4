import type { DestinationSettings } from './destination-settings.ts';
import type { RetentionPolicy, Schedule } from './job.ts';
import type { NotifySettings } from './notify-settings.ts';

/** What is configured for backupd as a whole; what concerns one source is its Job. */
export interface Settings {
  /** Where the backups are: `/backups`. */
  readonly dir: string;
  /** Null: as recorded in `dir`, else the compose project, else `default`. */
  readonly namespace: string | null;
  readonly discover: 'project' | 'host' | 'off';
  /** IANA name. */
  readonly timezone: string;
  /** Runs at once. */
  readonly concurrency: number;
  /** Null: no HTTP. */
  readonly httpPort: number | null;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  readonly logFormat: 'auto' | 'json' | 'pretty';
  /** For sources that are gone, and as the default of all others. */
  readonly keep: RetentionPolicy;
  readonly schedule: Schedule;
  /** Where copies are sent to. */
  readonly destinations: readonly DestinationSettings[];
  /** How people are told. */
  readonly notify: NotifySettings;
}

/** One option in force, as `backupd config` shows it; a secret's value is `[hidden]`. */
export interface OptionInForce {
  readonly name: string;
  readonly value: string | null;
  /** Where it came from: `default`, `environment`, `file /etc/backupd.yml`, `BACKUPD_X_FILE`... */
  readonly from: string;
}
