/* SPDX-License-Identifier: MIT
**
** os_real.h: in test builds, renames the functions of os.h to sdb_real_* in the files that implement them, so that
** os_dispatch.c can define the public names and stand in between; and the system calls in them to sdb_raw_*.  The
** compiler is told to include it before everything else in core/os/os_*.c, and in nothing else: see tests/meson.build.
*/
#ifndef SDB_OS_REAL_H
#define SDB_OS_REAL_H

/* The points where single system calls can be interrupted or cut short.  The system's headers come first. */
#include <fcntl.h>
#include <unistd.h>
#define openat    sdb_raw_open
#define pread     sdb_raw_pread
#define pwrite    sdb_raw_pwrite
#define fdatasync sdb_raw_fdatasync
#define fsync     sdb_raw_fsync

#define sdb_os_open_dir         sdb_real_open_dir
#define sdb_os_make_dir         sdb_real_make_dir
#define sdb_os_sync_dir         sdb_real_sync_dir
#define sdb_os_sync_parent      sdb_real_sync_parent
#define sdb_os_dir_info         sdb_real_dir_info
#define sdb_os_set_access       sdb_real_set_access
#define sdb_os_path_info        sdb_real_path_info
#define sdb_os_birth_ns         sdb_real_birth_ns
#define sdb_os_real_path        sdb_real_real_path
#define sdb_os_list_dir         sdb_real_list_dir
#define sdb_os_open             sdb_real_open
#define sdb_os_close            sdb_real_close
#define sdb_os_replace          sdb_real_replace
#define sdb_os_rename           sdb_real_rename
#define sdb_os_rename_new       sdb_real_rename_new
#define sdb_os_unlink           sdb_real_unlink
#define sdb_os_remove_dir       sdb_real_remove_dir
#define sdb_os_info_of          sdb_real_info_of
#define sdb_os_stamp_set        sdb_real_stamp_set
#define sdb_os_stamp_of         sdb_real_stamp_of
#define sdb_os_pread            sdb_real_pread
#define sdb_os_pwrite           sdb_real_pwrite
#define sdb_os_fdatasync        sdb_real_fdatasync
#define sdb_os_fsync            sdb_real_fsync
#define sdb_os_write_out        sdb_real_write_out
#define sdb_os_truncate         sdb_real_truncate
#define sdb_os_punch            sdb_real_punch
#define sdb_os_allocate         sdb_real_allocate
#define sdb_os_next_data        sdb_real_next_data
#define sdb_os_lock             sdb_real_lock
#define sdb_os_unlock           sdb_real_unlock
#define sdb_os_lock_byte        sdb_real_lock_byte
#define sdb_os_unlock_byte      sdb_real_unlock_byte
#define sdb_os_unlock_all_bytes sdb_real_unlock_all_bytes
#define sdb_os_byte_is_locked   sdb_real_byte_is_locked
#define sdb_os_share            sdb_real_share
#define sdb_os_unshare          sdb_real_unshare
#define sdb_os_word_wait        sdb_real_word_wait
#define sdb_os_word_wake        sdb_real_word_wake
#define sdb_os_file_system_of   sdb_real_file_system_of
#define sdb_os_pid              sdb_real_pid
#define sdb_os_now_ms           sdb_real_now_ms
#define sdb_os_give_way         sdb_real_give_way
#define sdb_os_map              sdb_real_map
#define sdb_os_unmap            sdb_real_unmap
#define sdb_os_populate         sdb_real_populate
#define sdb_os_dense            sdb_real_dense
#define sdb_os_may_fill_holes   sdb_real_may_fill_holes
#define sdb_os_map_window       sdb_real_map_window
#define sdb_os_blocks           sdb_real_blocks
#define sdb_os_blocks_free      sdb_real_blocks_free
#define sdb_malloc              sdb_real_malloc
#define sdb_calloc              sdb_real_calloc
#define sdb_realloc             sdb_real_realloc
#define sdb_free                sdb_real_free
#define sdb_os_random           sdb_real_random

/* The declarations in os_faults.h are thereby checked against the definitions. */
#include "os_faults.h"

#endif /* SDB_OS_REAL_H */
