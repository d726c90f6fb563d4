/** PostgreSQL's encodings by the names that TextDecoder has for them. */
const LABELS: Readonly<Record<string, string>> = {
  LATIN2: 'iso-8859-2',
  LATIN3: 'iso-8859-3',
  LATIN4: 'iso-8859-4',
  LATIN5: 'windows-1254',
  LATIN6: 'iso-8859-10',
  LATIN7: 'iso-8859-13',
  LATIN8: 'iso-8859-14',
  LATIN9: 'iso-8859-15',
  LATIN10: 'iso-8859-16',
  ISO_8859_5: 'iso-8859-5',
  ISO_8859_6: 'iso-8859-6',
  ISO_8859_7: 'iso-8859-7',
  ISO_8859_8: 'iso-8859-8',
  WIN866: 'ibm866',
  WIN874: 'windows-874',
  WIN1250: 'windows-1250',
  WIN1251: 'windows-1251',
  WIN1252: 'windows-1252',
  WIN1253: 'windows-1253',
  WIN1254: 'windows-1254',
  WIN1255: 'windows-1255',
  WIN1256: 'windows-1256',
  WIN1257: 'windows-1257',
  WIN1258: 'windows-1258',
  KOI8R: 'koi8-r',
  KOI8U: 'koi8-u',
  EUC_JP: 'euc-jp',
  EUC_JIS_2004: 'euc-jp',
  EUC_CN: 'gb18030',
  EUC_KR: 'euc-kr',
};

/**
 * Turns text in one of PostgreSQL's encodings into a string. SQL_ASCII is taken for UTF-8, as psql would have us see it;
 * so are the two encodings nothing here can decode, EUC_TW and MULE_INTERNAL: their ASCII part is right.
 */
export function textDecoder(encoding: string): (bytes: Buffer) => string {
  if (encoding === 'LATIN1') {
    // TextDecoder would take it for windows-1252.
    return (bytes) => bytes.toString('latin1');
  }
  const label = LABELS[encoding];
  if (label === undefined) {
    return (bytes) => bytes.toString('utf8');
  }
  const decoder = new TextDecoder(label, { ignoreBOM: true });
  return (bytes) => decoder.decode(bytes);
}
