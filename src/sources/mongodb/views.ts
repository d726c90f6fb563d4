import type { CollectionRow } from './databases.ts';

/** A view as it can be made again: its options are BSON in base64, since JSON has fewer types. */
export interface StoredView {
  readonly name: string;
  readonly options: string;
}

export function viewsOf(collections: readonly CollectionRow[]): readonly StoredView[] {
  return collections
    .filter(({ type }) => type === 'view')
    .map(({ name, options }) => ({ name, options: Buffer.from(options).toString('base64') }));
}

/** Collections that have documents and can be renamed. */
export function namesOf(collections: readonly CollectionRow[]): readonly string[] {
  return collections.filter(({ type }) => type === 'collection').map(({ name }) => name);
}

/** Names that no pattern of the tools fits: theirs end at a line break. */
export function withLineBreak(names: readonly string[]): readonly string[] {
  return names.filter((name) => name.includes('\n'));
}

/** What can neither be renamed nor made again. */
export function timeSeriesOf(collections: readonly CollectionRow[]): readonly string[] {
  return collections.filter(({ type }) => type === 'timeseries').map(({ name }) => name);
}
