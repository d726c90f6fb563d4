import { describe } from 'vitest';
import { mysqlContract } from './mysql-contract.ts';
import { sourceContract } from './source-contract.ts';

describe('mysql:9.7', () => {
  sourceContract(mysqlContract('mysql:9.7'));
});
