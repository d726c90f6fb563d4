import { channel } from 'node:diagnostics_channel';

/**
 * The points between which a run can die, in the order in which they are passed. What is on disk and in the target after
 * each is part of the design: whatever happens there, the next start puts it right.
 */
export const STEPS = [
  // backup
  'backup-locked',
  'before-ended',
  'dump-halted',
  'dump-opened',
  'archive-written',
  'dump-released',
  'dump-finished',
  'after-ended',
  'manifest-written',
  'backup-committed',
  'backup-ended',
  'attempt-recorded',
  // restore
  'restore-locked',
  'range-fetched',
  'file-fetched',
  'download-committed',
  'restore-journaled',
  'beside-created',
  'beside-loaded',
  'beside-indexed',
  'beside-built',
  'beside-compared',
  'swap-halted',
  'swap-journaled',
  'swap-prepared',
  'swap-sent',
  'swap-moved',
  'swap-finished',
  'swapped',
  'previous-recorded',
  'restore-cleared',
  'swap-released',
  // undo
  'undo-journaled',
  'undone',
  'undo-recorded',
  // upload
  'copy-recorded',
  'upload-begun',
  'upload-recorded',
  'part-sent',
  'parts-sent',
  'upload-finished',
  'file-uploaded',
  'receipts-uploaded',
  'manifest-uploaded',
  'copy-confirmed',
  // removal of a copy
  'removal-recorded',
  'remote-manifest-removed',
  'copy-removed',
  // alarms
  'alarm-sent',
  'alarm-recorded',
  // drill
  'scratch-created',
  'scratch-started',
  'scratch-loaded',
  'drill-compared',
  'scratch-removed',
  'drill-recorded',
] as const;

export type Step = (typeof STEPS)[number];

const steps = channel('backupd:step');

/** Tells whoever subscribed to the diagnostics channel `backupd:step` that this point was passed. */
export function reach(step: Step): void {
  if (steps.hasSubscribers) {
    steps.publish(step);
  }
}
