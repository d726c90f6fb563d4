import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createScript, dropStatement, inOrder } from '../../../../src/sources/mysql/objects.ts';
import { readObjects } from '../../../../src/sources/mysql/read-objects.ts';

const FIXTURES = join(import.meta.dirname, '../../../fixtures/mysql-dump');

describe.each(['mariadb-10.11', 'mariadb-11.8', 'mysql-9.7'])(
  'the objects of a dump of %s',
  (name) => {
    const dump = readFileSync(join(FIXTURES, `${name}.sql`), 'latin1');
    const objects = readObjects(dump.slice(dump.indexOf('-- backupd: objects')));

    it('are all found, in their order', () => {
      expect(objects.map(({ kind, name: own, table }) => [kind, own, table])).toEqual([
        ['trigger', 'shout', 'parents'],
        ['event', 'nightly', null],
        ['function', 'f', null],
        ['procedure', 'p', null],
        ['view', 'v1', null],
        ['view', 'v2', null],
      ]);
    });

    it('have the settings that they were made with, each its own', () => {
      const settings = objects.map((object) => Object.keys(object.settings).toSorted());
      const charset = ['character_set_client', 'character_set_results', 'collation_connection'];
      expect(settings).toEqual([
        [...charset, 'sql_mode'],
        [...charset, 'sql_mode', 'time_zone'],
        [...charset, 'sql_mode'],
        [...charset, 'sql_mode'],
        charset,
        charset,
      ]);
    });

    it('are made by scripts that read the same', () => {
      for (const object of objects.filter(
        ({ kind }) => kind === 'function' || kind === 'procedure',
      )) {
        expect(readObjects(createScript(object))).toEqual([object]);
      }
    });

    it('can be made elsewhere under another name', () => {
      const [trigger] = objects;
      const script = trigger && createScript(trigger, { name: 'a`b', table: 'other' });
      expect(script).toMatch(/TRIGGER `a``b` before insert ON `other` FOR EACH ROW begin set/i);
      expect(trigger && dropStatement(trigger)).toBe('DROP TRIGGER IF EXISTS `shout`;\n');
    });
  },
);

function trigger(text: string): string {
  return `DELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=\`a\`@\`%\`*/ /*!50003 ${text} */;;\nDELIMITER ;\n`;
}

describe('a trigger as its user wrote it', () => {
  it.each([
    ['TRIGGER `t` BEFORE INSERT ON `x` FOR EACH ROW set @a = 1', ' set @a = 1'],
    ['trigger t\n\tbefore   insert on shop . x\nfor each row\nset @a = 1', '\nset @a = 1'],
    ['TRIGGER IF NOT EXISTS shop.t BEFORE INSERT ON "x" FOR EACH ROW set @a = 1', ' set @a = 1'],
    [
      'TRIGGER t /* on y for */ BEFORE INSERT -- on z\n ON x FOR EACH ROW set @a = 1',
      ' set @a = 1',
    ],
    ['TRIGGER t BEFORE INSERT ON x FOR EACH ROW FOLLOWS `s` set @a = 1', ' set @a = 1'],
    [
      'TRIGGER t BEFORE INSERT ON x FOR EACH ROW begin\n/* ;;\n*/ set @a = ";;\n"; end',
      ' begin\n/* ;;\n*/ set @a = ";;\n"; end',
    ],
    [
      "TRIGGER t BEFORE INSERT ON x FOR EACH ROW begin -- don't ;;\n set @a = 1; end",
      " begin -- don't ;;\n set @a = 1; end",
    ],
    // The last byte of à is one that JavaScript takes for a blank.
    [
      `TRIGGER t BEFORE INSERT ON x FOR EACH ROW set @a = ${Buffer.from('à').toString('latin1')}`,
      ` set @a = ${Buffer.from('à').toString('latin1')}`,
    ],
  ])('is taken apart: %s', (text, body) => {
    const [found] = readObjects(trigger(text));
    expect(found).toMatchObject({ kind: 'trigger', name: 't', table: 'x' });
    expect(found?.tail.split('FOR EACH ROW')[1]).toBe(body);
  });

  it('is damage where it cannot be', () => {
    expect(() => readObjects(trigger('TRIGGER nonsense'))).toThrow('a trigger that cannot be read');
  });
});

describe('views', () => {
  function view(name: string, text: string): string {
    return `/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=\`a\`@\`%\` SQL SECURITY DEFINER */\n/*!50001 VIEW \`${name}\` AS ${text} */;\n`;
  }

  it('are made after those they read', () => {
    const objects = readObjects(
      view('a', 'select `b`.`x` AS `x` from (`b` join `c` on(`b`.`x` = `c`.`x`))') +
        view('b', 'select `shop`.`c`.`x` AS `a` from `shop`.`c`') +
        view('c', 'select 1 AS `a`'),
    );
    expect(inOrder(objects).map(({ name }) => name)).toEqual(['c', 'b', 'a']);
  });

  it('may name the database they are in, which is another one elsewhere', () => {
    const [object] = readObjects(
      view(
        'a',
        "select `shop`.`t`.`shop` AS `x`,'`shop`.' AS `s` from `shop`.`t` join `my``shop`.`t`",
      ),
    );
    expect(object && createScript(object, { schema: { from: 'shop', to: 'n`w' } })).toContain(
      "AS select `n``w`.`t`.`shop` AS `x`,'`shop`.' AS `s` from `n``w`.`t` join `my``shop`.`t`",
    );
  });
});
