// SPDX-License-Identifier: MIT
//
// index.d.ts: the types of the package.
import {Readable, Writable} from 'node:stream';

/** A Database of better-sqlite3, or a DatabaseSync of node:sqlite that was opened with {allowExtension: true}. */
export interface Database {
  prepare(sql: string): unknown;
  exec(sql: string): unknown;
  loadExtension(path: string): unknown;
}

export interface LoadOptions {
  /** The library's path, if it is not the one of the package; the suffix may be left out. */
  extension?: string;
}

/** Loads the extension into a connection, and returns its version. A second call on a connection does nothing. */
export function load(db: Database, options?: LoadOptions): string;

export interface ReadStreamOptions {
  /** The first byte; default 0. */
  start?: number;
  /** The last byte, inclusive as with fs; default: the region's end. */
  end?: number;
  /** Bytes of a piece; default 256 KiB. */
  highWaterMark?: number;
  /**
   * false (default): the bytes of the moment when the stream is opened. It pins the region until it is closed, and the
   * thread pool reads.
   * true: each piece is what was committed last, and the end is where the region ends when that is reached. Pins
   * nothing. A region that goes meanwhile is an error.
   */
  live?: boolean;
  encoding?: BufferEncoding;
  signal?: AbortSignal;
}

export interface RegionReadStream extends Readable {
  /** Offset of the next byte. */
  readonly position: number;
  readonly bytesRead: number;
}

/** The bytes of a region, in pieces. */
export function createReadStream(
  db: Database, table: string, name: string, options?: ReadStreamOptions): RegionReadStream;

export interface WriteStreamOptions {
  /**
   * 'a' (default) appends; 'w' cuts the region at `start` and appends; both create it if it is missing.
   * 'r+' overwrites from `start` on, and keeps what lies behind.
   */
  flags?: 'a' | 'w' | 'r+';
  /** With 'w' and 'r+': the first byte that is written; default 0. */
  start?: number;
  /** Bytes that may wait for a commit before write() returns false; default 16 MiB. */
  highWaterMark?: number;
  signal?: AbortSignal;
}

export interface RegionWriteStream extends Writable {
  /** Bytes that are committed, or are in the connection's transaction. */
  readonly bytesWritten: number;
}

/**
 * Writes to a region. What comes in one turn of the event loop is one transaction, unless the connection is in one.
 * In a flow it is what comes while the last commit took, 20 ms at most; of writes without a callback, what comes in
 * four times that, 100 ms at most. 'finish' comes when all is committed.
 */
export function createWriteStream(
  db: Database, table: string, name: string, options?: WriteStreamOptions): RegionWriteStream;

export interface FollowOptions {
  /** The first byte; default 0. */
  start?: number;
  encoding?: BufferEncoding;
  /** Ends the stream with an AbortError. */
  signal?: AbortSignal;
  /** 'better-sqlite3', 'node:sqlite', or a path; default: that of the last load(), else the one that is there. */
  driver?: string;
  /** The library's path; default: the one that load() loaded last, else the one of the package. */
  extension?: string;
}

export interface FollowStream extends Readable {
  readonly bytesRead: number;
  /** Waiting for bytes keeps the process alive (this is so from the start), or does not. */
  ref(): this;
  unref(): this;
}

/** What is in a region and what is appended to it, by whatever process, in order. Does not end by itself. */
export function follow(filename: string, table: string, name: string, options?: FollowOptions): FollowStream;

export interface NumberArrays {
  i8: Int8Array;
  u8: Uint8Array;
  i16: Int16Array;
  u16: Uint16Array;
  i32: Int32Array;
  u32: Uint32Array;
  i64: BigInt64Array;
  u64: BigUint64Array;
  f32: Float32Array;
  f64: Float64Array;
}

/** Whole numbers that a number of JavaScript cannot hold are BigInts. null: there are no values. */
export interface Aggregate {
  count: number;
  sum: number | bigint | null;
  min: number | bigint | null;
  max: number | bigint | null;
  mean: number | null;
}

export interface Regions {
  /** Ordered by name. */
  list(): {name: string; length: number}[];
  has(name: string): boolean;
  /** In bytes; undefined if there is no such region. */
  length(name: string): number | undefined;
  /** From `start` up to `end`, which is left out; undefined if there is no such region. */
  read(name: string, start?: number, end?: number): Buffer | undefined;
  append(name: string, data: string | NodeJS.ArrayBufferView): void;
  rename(name: string, to: string): void;
  /** Whether there was one. */
  remove(name: string): boolean;
  aggregate(name: string, type: keyof NumberArrays, first?: number, count?: number): Aggregate | undefined;
  values<T extends keyof NumberArrays>(name: string, type: T, first?: number, count?: number): NumberArrays[T];
}

/** The regions of a table as an object. */
export function regions(db: Database, table: string): Regions;

/** Where the package's library for this machine is, or would be. */
export function libraryFile(): string;

/** The version of the package and of its library. */
export const version: string;

export type SeqdbErrorCode =
  | 'SEQDB_ARGUMENT'
  | 'SEQDB_CLOSED'
  | 'SEQDB_FILE_SHORT'
  | 'SEQDB_LIBRARY_MISSING'
  | 'SEQDB_LIBRARY_WRONG'
  | 'SEQDB_LOADING_DISABLED'
  | 'SEQDB_NODE_TOO_OLD'
  | 'SEQDB_NO_DRIVER'
  | 'SEQDB_NO_FILE'
  | 'SEQDB_NO_REGION'
  | 'SEQDB_REGION_CUT'
  | 'SEQDB_REGION_GONE'
  | 'SEQDB_SQLITE_TOO_OLD'
  | 'SEQDB_THREAD'
  | 'SEQDB_TWO_VERSIONS';

/** Errors of this package. Those of SQLite and the extension come as the driver throws them. */
export class SeqdbError extends Error {
  readonly code: SeqdbErrorCode;
}
