// SPDX-License-Identifier: MIT
//
// index.mjs: the same for import.
import seqdb from './index.js';

export const {load, createReadStream, createWriteStream, follow, regions, libraryFile, version, SeqdbError} = seqdb;
export default seqdb;
