// SPDX-License-Identifier: MIT
//
// index.js: what the package offers; README.md shows it, index.d.ts has the types.
'use strict';
const {load, checkNode, libraryFile} = require('./load.js');

// Before anything else is loaded, whose syntax an old Node.js might not know.
checkNode();

const {SeqdbError} = require('./errors.js');
const {createReadStream} = require('./read_stream.js');
const {createWriteStream} = require('./write_stream.js');
const {follow} = require('./follow.js');
const {regions} = require('./regions.js');
const {version} = require('./package.json');

module.exports = {load, createReadStream, createWriteStream, follow, regions, libraryFile, version, SeqdbError};
