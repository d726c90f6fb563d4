import { describe } from 'vitest';
import { mysqlContract } from './mysql-contract.ts';
import { sourceContract } from './source-contract.ts';

describe('mariadb:10.11', () => {
  sourceContract(mysqlContract('mariadb:10.11'));
});
