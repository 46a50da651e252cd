// SPDX-License-Identifier: MIT
//
// errors.js: the errors of this package.  `code` is for programs, `message` for people.  What SQLite or the extension
// says comes as the driver throws it.
'use strict';

class SeqdbError extends Error {
  constructor(code, message, options) {
    super(message, options);
    this.name = 'SeqdbError';
    this.code = code;
  }
}

const argument = (message) => new SeqdbError('SEQDB_ARGUMENT', message);

module.exports = {SeqdbError, argument};
