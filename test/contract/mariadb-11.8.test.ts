import { describe } from 'vitest';
import { mysqlContract } from './mysql-contract.ts';
import { sourceContract } from './source-contract.ts';

describe('mariadb:11.8', () => {
  sourceContract(mysqlContract('mariadb:11.8'));
});
