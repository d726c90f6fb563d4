import type { Format } from './formats.ts';

/** One option of backupd as a whole: an entry of the schema that convict loads and that the documentation is made from. */
export interface GlobalOption<T, Default extends string | null = string | null> {
  readonly doc: string;
  /** As it would be written; null: unset. */
  readonly default: Default;
  readonly env: string;
  readonly kind: Format<T>;
  /** What the documentation says where there is no default. */
  readonly otherwise?: string;
  /** What is shown of a right value, where that is not all of it; of a wrong one nothing is then, as it may be a secret. */
  readonly show?: (text: string) => string;
  /** An empty value is a mistake; where this is not said, one without a default is then unset. */
  readonly emptyIsWrong?: true;
  /** For convict. @throws FormatError */
  format(value: unknown): void;
}

/** An entry of a schema. */
export function option<T, Default extends string | null>(
  spec: Omit<GlobalOption<T, Default>, 'format'>,
): GlobalOption<T, Default> {
  return {
    ...spec,
    format(value) {
      if (typeof value === 'string') {
        spec.kind.parse(value);
      }
    },
  };
}
